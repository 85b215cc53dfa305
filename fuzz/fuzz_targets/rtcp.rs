#![no_main]
use sansfu_tests::fuzzing::rtcp;
libfuzzer_sys::fuzz_target!(|data: &[u8]| rtcp(data));
