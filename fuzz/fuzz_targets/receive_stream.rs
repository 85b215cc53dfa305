#![no_main]
use sansfu_tests::fuzzing::receive_stream;
libfuzzer_sys::fuzz_target!(|data: &[u8]| receive_stream(data));
