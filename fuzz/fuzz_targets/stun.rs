#![no_main]
use sansfu_tests::fuzzing::stun;
libfuzzer_sys::fuzz_target!(|data: &[u8]| stun(data));
