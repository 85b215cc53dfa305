#![no_main]
use sansfu_tests::fuzzing::negotiation;
libfuzzer_sys::fuzz_target!(|data: &[u8]| negotiation(data));
