#![no_main]
use sansfu_tests::fuzzing::srtp_parameters;
libfuzzer_sys::fuzz_target!(|data: &[u8]| srtp_parameters(data));
