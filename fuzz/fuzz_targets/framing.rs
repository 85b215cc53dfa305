#![no_main]
use sansfu_tests::fuzzing::framing;
libfuzzer_sys::fuzz_target!(|data: &[u8]| framing(data));
