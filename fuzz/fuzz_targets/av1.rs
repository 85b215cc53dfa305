#![no_main]
use sansfu_tests::fuzzing::av1;
libfuzzer_sys::fuzz_target!(|data: &[u8]| av1(data));
