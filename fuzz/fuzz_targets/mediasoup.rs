#![no_main]
use sansfu_tests::fuzzing::mediasoup;
libfuzzer_sys::fuzz_target!(|data: &[u8]| mediasoup(data));
