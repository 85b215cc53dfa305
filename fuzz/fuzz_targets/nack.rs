#![no_main]
use sansfu_tests::fuzzing::nack;
libfuzzer_sys::fuzz_target!(|data: &[u8]| nack(data));
