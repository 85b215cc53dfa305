#![no_main]
use sansfu_tests::fuzzing::codecs;
libfuzzer_sys::fuzz_target!(|data: &[u8]| codecs(data));
