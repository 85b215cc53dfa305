#![no_main]
use sansfu_tests::fuzzing::arena;
libfuzzer_sys::fuzz_target!(|data: &[u8]| arena(data));
