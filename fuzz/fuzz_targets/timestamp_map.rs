#![no_main]
use sansfu_tests::fuzzing::timestamp_map;
libfuzzer_sys::fuzz_target!(|data: &[u8]| timestamp_map(data));
