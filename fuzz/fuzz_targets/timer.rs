#![no_main]
use sansfu_tests::fuzzing::timer;
libfuzzer_sys::fuzz_target!(|data: &[u8]| timer(data));
