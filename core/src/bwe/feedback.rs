//! stub
use std::time::Instant;
#[derive(Debug)]
pub struct TransportFeedbackRecorder;
impl TransportFeedbackRecorder {
    pub fn new(_: Instant) -> Self {
        Self
    }
    pub fn on_packet(&mut self, _: Instant, _: u16, _: u32) {}
    pub fn deadline(&self) -> Option<Instant> {
        None
    }
    pub fn is_due(&self, _: Instant) -> bool {
        false
    }
    pub fn write(&mut self, _: Instant, _: &mut Vec<u8>, _: u32) -> bool {
        false
    }
}
