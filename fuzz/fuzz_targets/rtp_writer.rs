#![no_main]
use sansfu_tests::fuzzing::rtp_writer;
libfuzzer_sys::fuzz_target!(|data: &[u8]| rtp_writer(data));
