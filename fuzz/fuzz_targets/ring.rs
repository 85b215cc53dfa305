#![no_main]
use sansfu_tests::fuzzing::ring;
libfuzzer_sys::fuzz_target!(|data: &[u8]| ring(data));
