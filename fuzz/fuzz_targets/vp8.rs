#![no_main]
use sansfu_tests::fuzzing::vp8;
libfuzzer_sys::fuzz_target!(|data: &[u8]| vp8(data));
