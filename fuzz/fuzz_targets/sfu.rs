#![no_main]
use sansfu_tests::fuzzing::sfu;
libfuzzer_sys::fuzz_target!(|data: &[u8]| sfu(data));
