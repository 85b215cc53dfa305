#![no_main]
use sansfu_tests::fuzzing::feedback;
libfuzzer_sys::fuzz_target!(|data: &[u8]| feedback(data));
