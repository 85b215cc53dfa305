#![no_main]
use sansfu_tests::fuzzing::window;
libfuzzer_sys::fuzz_target!(|data: &[u8]| window(data));
