//! stub
pub mod feedback;
pub mod remb;
