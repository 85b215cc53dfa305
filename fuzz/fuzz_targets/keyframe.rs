#![no_main]
use sansfu_tests::fuzzing::keyframe;
libfuzzer_sys::fuzz_target!(|data: &[u8]| keyframe(data));
