#![no_main]
use sansfu_tests::fuzzing::jitter;
libfuzzer_sys::fuzz_target!(|data: &[u8]| jitter(data));
