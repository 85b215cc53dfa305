#![no_main]
use sansfu_tests::fuzzing::protoo;
libfuzzer_sys::fuzz_target!(|data: &[u8]| protoo(data));
