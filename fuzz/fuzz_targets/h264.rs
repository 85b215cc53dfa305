#![no_main]
use sansfu_tests::fuzzing::h264;
libfuzzer_sys::fuzz_target!(|data: &[u8]| h264(data));
