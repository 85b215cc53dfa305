#![no_main]
use sansfu_tests::fuzzing::remb;
libfuzzer_sys::fuzz_target!(|data: &[u8]| remb(data));
