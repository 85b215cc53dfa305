#![no_main]
use sansfu_tests::fuzzing::ntp;
libfuzzer_sys::fuzz_target!(|data: &[u8]| ntp(data));
