#![no_main]
use sansfu_tests::fuzzing::rtp;
libfuzzer_sys::fuzz_target!(|data: &[u8]| rtp(data));
