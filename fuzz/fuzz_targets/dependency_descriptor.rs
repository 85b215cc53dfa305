#![no_main]
use sansfu_tests::fuzzing::dependency_descriptor;
libfuzzer_sys::fuzz_target!(|data: &[u8]| dependency_descriptor(data));
