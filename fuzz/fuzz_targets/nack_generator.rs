#![no_main]
use sansfu_tests::fuzzing::nack_generator;
libfuzzer_sys::fuzz_target!(|data: &[u8]| nack_generator(data));
