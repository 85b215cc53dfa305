#![no_main]
use sansfu_tests::fuzzing::sctp_streams;
libfuzzer_sys::fuzz_target!(|data: &[u8]| sctp_streams(data));
