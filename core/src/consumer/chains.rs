//! Which chains are unbroken in what a consumer has sent (RTP Payload Format For AV1, sections A.5 to A.7).
//!
//! A chain breaks where one of its frames is left out, or is lost and does not come any more; it is whole again where it needs
//! nothing from before. Layers whose chain is unbroken can be switched to at any time, others with a keyframe only, and layers that
//! are sent and whose chain breaks cannot be decoded any more.
//!
//! A packet that is missing may still come, and then goes the way of its picture. So a gap breaks the chains of layers that are not
//! sent, of which nothing would have been forwarded, but not of what is sent: that breaks when the packet is given up.
use crate::stream::frame::{ChainInfo, FrameInfo, Layers, LayersSet};

/// The chains of one encoding, by the layers that they protect.
#[derive(Debug, Clone)]
pub(super) struct Chains {
    unbroken: LayersSet,
    /// The number of the newest frame.
    newest: Option<u16>,
    /// Which of the last frames were sent, the newest in bit 0.
    sent: u32,
    /// The number of the last keyframe: what was before it breaks nothing.
    begun_at: u16,
}

impl Chains {
    /// A stream begins; where keyframes cannot be told, with any frame.
    pub(super) const fn new() -> Self {
        Chains { unbroken: LayersSet::ALL, newest: None, sent: 0, begun_at: 0 }
    }

    /// Takes note of the next frame in order before anything is decided about it; `current` is what is sent.
    pub(super) fn on_frame(&mut self, frame: &FrameInfo, chains: &ChainInfo, current: Layers) {
        let apart = self.newest.map_or(1, |newest| frame.frame_number.wrapping_sub(newest));
        if apart == 0 {
            return;
        }
        self.newest = Some(frame.frame_number);
        self.sent = self.sent.checked_shl(apart.into()).unwrap_or(0);
        if frame.keyframe {
            self.unbroken = LayersSet::ALL;
            self.begun_at = frame.frame_number;
            return;
        }
        for (spatial, previous) in (0..).zip(chains.previous) {
            let is_missing = (1..apart).contains(&previous.into());
            let is_sent = spatial == current.spatial || chains.is_nested && spatial < current.spatial;
            if is_missing && !is_sent {
                self.unbroken = self.unbroken.without(LayersSet::row(spatial));
            }
        }
        let begun =
            if self.is_decodable(chains) { LayersSet::ALL } else { LayersSet::ALL.without(chains.essential) };
        self.unbroken = self.unbroken.union(chains.restarts.intersection(begun));
    }

    /// Takes note of what was decided about a frame, late or in order.
    pub(super) fn on_decided(&mut self, frame: &FrameInfo, chains: &ChainInfo, is_sent: bool) {
        let back = self.newest.map_or(0, |newest| newest.wrapping_sub(frame.frame_number));
        if is_sent {
            self.sent |= 1u32.checked_shl(back.into()).unwrap_or(0);
        } else if frame.frame_number.wrapping_sub(self.begun_at) < 0x8000 {
            self.unbroken = self.unbroken.without(chains.essential);
        }
    }

    /// Frames without which these layers cannot be decoded are lost.
    pub(super) fn lose(&mut self, layers: LayersSet) {
        self.unbroken = self.unbroken.without(layers);
    }

    /// Whether the chain of these layers, for which there must be a decode target, is unbroken.
    pub(super) fn is_unbroken(&self, layers: Layers) -> bool {
        self.unbroken.contains(layers)
    }

    /// Whether all that a frame refers to was sent.
    pub(super) fn is_decodable(&self, chains: &ChainInfo) -> bool {
        chains.references & !(self.sent >> 1) == 0
    }
}
