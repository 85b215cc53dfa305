#![no_main]
use sansfu_tests::fuzzing::ext;
libfuzzer_sys::fuzz_target!(|data: &[u8]| ext(data));
