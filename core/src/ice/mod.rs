//! ICE-Lite.
