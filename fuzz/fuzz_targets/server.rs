#![no_main]
use sansfu_tests::fuzzing::server;
libfuzzer_sys::fuzz_target!(|data: &[u8]| server(data));
