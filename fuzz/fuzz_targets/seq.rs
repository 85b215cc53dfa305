#![no_main]
use sansfu_tests::fuzzing::seq;
libfuzzer_sys::fuzz_target!(|data: &[u8]| seq(data));
