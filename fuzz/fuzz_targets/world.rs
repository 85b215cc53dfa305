#![no_main]
use sansfu_tests::fuzzing::world;
libfuzzer_sys::fuzz_target!(|data: &[u8]| world(data));
