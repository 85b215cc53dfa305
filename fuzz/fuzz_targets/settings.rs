#![no_main]
use sansfu_tests::fuzzing::settings;
libfuzzer_sys::fuzz_target!(|data: &[u8]| settings(data));
