#![no_main]
use sansfu_tests::fuzzing::transport_feedback;
libfuzzer_sys::fuzz_target!(|data: &[u8]| transport_feedback(data));
