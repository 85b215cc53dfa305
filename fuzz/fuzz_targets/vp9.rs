#![no_main]
use sansfu_tests::fuzzing::vp9;
libfuzzer_sys::fuzz_target!(|data: &[u8]| vp9(data));
