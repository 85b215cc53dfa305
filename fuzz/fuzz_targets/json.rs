#![no_main]
use sansfu_tests::fuzzing::json;
libfuzzer_sys::fuzz_target!(|data: &[u8]| json(data));
