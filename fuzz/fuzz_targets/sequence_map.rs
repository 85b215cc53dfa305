#![no_main]
use sansfu_tests::fuzzing::sequence_map;
libfuzzer_sys::fuzz_target!(|data: &[u8]| sequence_map(data));
