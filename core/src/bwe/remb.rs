//! stub
use std::time::Instant;
#[derive(Debug)]
pub struct RembEstimator;
impl RembEstimator {
    pub fn new(_: Instant, _: Option<u64>) -> Self {
        Self
    }
    pub fn on_packet(&mut self, _: Instant, _: usize) {}
    pub fn deadline(&self) -> Option<Instant> {
        None
    }
    pub fn on_loss(&mut self, _: u8) {}
    pub fn poll(&mut self, _: Instant) -> Option<u64> {
        None
    }
    pub fn estimate_bps(&self) -> Option<u64> {
        None
    }
    pub fn set_max_bitrate(&mut self, _: Option<u64>) {}
}
