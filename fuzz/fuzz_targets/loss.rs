#![no_main]
use sansfu_tests::fuzzing::loss;
libfuzzer_sys::fuzz_target!(|data: &[u8]| loss(data));
