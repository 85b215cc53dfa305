#![no_main]
use sansfu_tests::fuzzing::store;
libfuzzer_sys::fuzz_target!(|data: &[u8]| store(data));
