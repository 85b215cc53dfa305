//! Who speaks, and how loudly, from the levels that clients write into their packets (RFC 6464).
pub mod active_speaker;
pub mod audio_level;
