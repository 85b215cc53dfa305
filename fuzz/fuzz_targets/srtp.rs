#![no_main]
use sansfu_tests::fuzzing::srtp;
libfuzzer_sys::fuzz_target!(|data: &[u8]| srtp(data));
