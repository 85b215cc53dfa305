#![no_main]
use sansfu_tests::fuzzing::sdp;
libfuzzer_sys::fuzz_target!(|data: &[u8]| sdp(data));
