#![no_main]
use sansfu_tests::fuzzing::demux;
libfuzzer_sys::fuzz_target!(|data: &[u8]| demux(data));
