//! Which layers a consumer sends: what is asked for, what it is to become, what it is.
//!
//! A consumer of simulcast sends one encoding at a time, and of that the temporal layers up to one; a consumer of SVC sends of
//! the one encoding the spatial and temporal layers up to some. Both are a [`Selected`]: an encoding, and [`Layers`] of it. To
//! clients both are mediasoup's pair of a spatial layer, which for simulcast is the encoding, and a temporal one.
//!
//! Rules, which hold for every codec:
//!
//! * To another encoding only at its keyframe; until that has come the one that is sent goes on.
//! * Up to a higher spatial layer only at a keyframe. Down at the beginning of any picture if the frames of the lower layer have
//!   been sent (they are not where layers depend on each other in keyframes only), else at a keyframe.
//! * Down to a lower temporal layer at the beginning of any picture; up where the stream says that it can be done.
//! * Where the stream has chains ([`Chains`]) they tell more than this: to any spatial layer whose chain is unbroken, at the
//!   beginning of a picture of the base temporal layer, or down of any if the frames of the lower layer have been sent; and away
//!   from layers whose chain breaks, to the highest below whose chain is unbroken, or to nothing until a keyframe.
//! * Layers that the sender has switched off are not waited for: what is nearest to them is sent in their place.
use std::cmp::Ordering;

use super::chains::Chains;
use crate::event::ConsumerLayers;
use crate::ortc::ConsumerType;
use crate::stream::frame::{ChainInfo, FrameInfo, Layers, LayersSet};

/// What is sent of a producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Selected {
    /// The encoding.
    pub encoding: u8,
    /// The layers within it.
    pub layers: Layers,
}

/// The choice of layers of one consumer.
#[derive(Debug, Clone)]
pub struct Selection {
    consumer_type: ConsumerType,
    /// The highest layers that the parameters announce.
    top: (u8, u8),
    preferred: ConsumerLayers,
    /// `None`: nothing is to be sent.
    target: Option<Selected>,
    /// What is sent; `None` until a packet that a decoder can start with.
    current: Option<Selected>,
    /// RTP timestamp of the newest picture of the current encoding.
    picture: Option<u32>,
    /// A bit for each spatial layer of which that picture's frame is sent.
    sent: u8,
    /// The layers of the current encoding that are sent to us.
    active: LayersSet,
    /// Of the current encoding, where that has chains.
    chains: Chains,
    has_chains: bool,
}

impl Selection {
    /// Everything that the parameters announce, or less if less is preferred.
    ///
    /// `spatial_layers` are the encodings of simulcast or the spatial layers of SVC; both counts are at least 1.
    pub fn new(
        consumer_type: ConsumerType,
        spatial_layers: u8,
        temporal_layers: u8,
        preferred: Option<ConsumerLayers>,
    ) -> Self {
        let top = (spatial_layers.saturating_sub(1), temporal_layers.saturating_sub(1));
        let highest = ConsumerLayers { spatial_layer: top.0, temporal_layer: Some(top.1) };
        let mut selection = Selection {
            consumer_type,
            top,
            preferred: highest,
            target: None,
            current: None,
            picture: None,
            sent: 0,
            active: LayersSet::ALL,
            chains: Chains::new(),
            has_chains: false,
        };
        selection.prefer(preferred.unwrap_or(highest));
        selection.target = Some(selection.selected(selection.preferred));
        selection
    }

    /// Other layers are wished for; cut to those that exist (mediasoup's `setPreferredLayers`).
    pub fn prefer(&mut self, layers: ConsumerLayers) {
        self.preferred = ConsumerLayers {
            spatial_layer: layers.spatial_layer.min(self.top.0),
            temporal_layer: Some(layers.temporal_layer.unwrap_or(self.top.1).min(self.top.1)),
        };
    }

    /// Decides what is to be sent; `None`: nothing, once the picture that is being sent has ended.
    pub fn set_target(&mut self, layers: Option<ConsumerLayers>) {
        self.target = layers.map(|layers| self.selected(layers));
    }

    /// Nothing is sent until a packet that a decoder can start with.
    pub fn stop(&mut self) {
        self.current = None;
        self.picture = None;
        self.sent = 0;
        self.active = LayersSet::ALL;
        self.has_chains = false;
    }

    /// A packet with which the target can be begun is sent.
    pub fn begin(&mut self, timestamp: u32) {
        self.stop();
        self.current = self.target;
        self.picture = Some(timestamp);
        self.chains = Chains::new();
    }

    /// Takes in the next packet of the current encoding, in order, and says whether it is sent.
    pub fn on_packet(&mut self, timestamp: u32, frame: &FrameInfo) -> bool {
        let Some(mut current) = self.current else { return false };
        let is_new_picture = self.picture != Some(timestamp);
        if self.target.is_none() && is_new_picture {
            self.stop();
            return false;
        }
        let target = self.target.unwrap_or(current);
        self.take_in(frame, current.layers);
        if is_new_picture {
            self.picture = Some(timestamp);
            let wanted = if target.encoding == current.encoding { target.layers } else { current.layers };
            let Some(layers) = self.at_picture(current.layers, wanted, frame) else {
                self.stop();
                return false;
            };
            current.layers = layers;
            self.sent = 0;
        }
        if target.encoding == current.encoding && frame.start {
            current.layers.temporal = raised(current.layers, target.layers.temporal, frame);
        }
        self.current = Some(current);
        let is_sent = frame.members.contains(current.layers);
        if is_sent {
            self.sent |= 1 << frame.spatial_id.min(7);
        }
        self.on_decided(frame, is_sent);
        is_sent
    }

    /// Takes note of what was decided about a packet, late or in order.
    pub fn on_decided(&mut self, frame: &FrameInfo, is_sent: bool) {
        if let Some(chains) = &frame.chains {
            self.chains.on_decided(frame, chains, is_sent);
        }
    }

    /// Packets are lost without which these layers of the encoding that is sent cannot be decoded any more.
    pub fn lose(&mut self, layers: LayersSet) {
        self.chains.lose(layers);
    }

    /// What is to be sent.
    pub fn target(&self) -> Option<Selected> {
        self.target
    }

    /// What is sent.
    pub fn current(&self) -> Option<Selected> {
        self.current
    }

    /// The layers asked for, complete.
    pub fn preferred(&self) -> ConsumerLayers {
        self.preferred
    }

    /// Number of the highest spatial and the highest temporal layer.
    pub fn top(&self) -> (u8, u8) {
        self.top
    }

    /// Whether the target cannot be reached, or not be decoded any more, without a keyframe of it.
    pub fn needs_keyframe(&self) -> bool {
        match (self.current, self.target) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(current), Some(target)) if current.encoding != target.encoding => true,
            (Some(current), Some(target)) => {
                let (current, target) =
                    (self.active.nearest(current.layers), self.active.nearest(target.layers));
                if self.has_chains {
                    return !self.chains.is_unbroken(target);
                }
                let lower_is_sent = self.sent >> target.spatial & 1 == 1;
                current.spatial < target.spatial || current.spatial > target.spatial && !lower_is_sent
            }
        }
    }

    /// What is sent, as clients know it; `None` where there are no layers to tell of or nothing is sent.
    pub fn current_layers(&self) -> Option<ConsumerLayers> {
        if self.consumer_type == ConsumerType::Simple {
            return None;
        }
        let sent = |current: Selected| Selected { layers: self.active.nearest(current.layers), ..current };
        self.current.map(|current| self.as_layers(sent(current)))
    }

    /// What is to be sent, as clients know it.
    pub fn target_layers(&self) -> Option<ConsumerLayers> {
        self.target.map(|target| self.as_layers(target))
    }

    /// Whether there is anything to choose.
    pub fn has_layers(&self) -> bool {
        self.consumer_type != ConsumerType::Simple
    }

    /// Whether spatial layers are encodings.
    pub fn is_simulcast(&self) -> bool {
        self.consumer_type == ConsumerType::Simulcast
    }

    fn take_in(&mut self, frame: &FrameInfo, current: Layers) {
        self.active = frame.active;
        self.has_chains = frame.chains.is_some();
        if let Some(chains) = &frame.chains {
            self.chains.on_frame(frame, chains, self.active.nearest(current));
        }
    }

    /// What is sent from the picture on that this frame begins; `None`: nothing of it can be decoded.
    fn at_picture(&self, mut layers: Layers, target: Layers, frame: &FrameInfo) -> Option<Layers> {
        if frame.keyframe {
            return Some(target);
        }
        layers.temporal = layers.temporal.min(target.temporal);
        if let Some(chains) = &frame.chains {
            return self.by_chains(layers, target, frame, chains);
        }
        let is_down = target.spatial < layers.spatial && self.sent >> target.spatial & 1 == 1;
        if is_down {
            layers.spatial = target.spatial;
        }
        Some(layers)
    }

    /// The highest spatial layer up to the target that can be sent from this frame on, else what is sent, if that can be decoded.
    fn by_chains(
        &self,
        mut layers: Layers,
        target: Layers,
        frame: &FrameInfo,
        chains: &ChainInfo,
    ) -> Option<Layers> {
        let nearest = |layers: Layers| frame.active.nearest(layers);
        layers.spatial = layers.spatial.min(nearest(layers).spatial);
        // Chains have no frames of higher temporal layers: those of a layer that was not sent are missing.
        let is_base = frame.temporal_id == 0;
        let can_begin = |candidate: &Layers| match candidate.spatial.cmp(&layers.spatial) {
            Ordering::Less => is_base || chains.is_nested || self.sent >> candidate.spatial & 1 == 1,
            Ordering::Equal => true,
            Ordering::Greater => {
                is_base && frame.members.contains(*candidate) && self.chains.is_decodable(chains)
            }
        };
        let is_possible = |candidate: &Layers| {
            self.chains.is_unbroken(nearest(*candidate))
                && nearest(*candidate).spatial == candidate.spatial
                && can_begin(candidate)
        };
        let candidates = (0..=target.spatial).rev().map(|spatial| Layers { spatial, ..layers });
        candidates.chain([layers]).find(is_possible)
    }

    /// What layers as clients know them mean.
    pub fn selected(&self, layers: ConsumerLayers) -> Selected {
        let temporal = layers.temporal_layer.unwrap_or(self.top.1);
        // What is not announced is sent all the same when there is no choice about it.
        let temporal = if temporal >= self.top.1 { Layers::HIGHEST.temporal } else { temporal };
        match self.consumer_type {
            ConsumerType::Simulcast => Selected {
                encoding: layers.spatial_layer,
                layers: Layers { spatial: Layers::HIGHEST.spatial, temporal },
            },
            ConsumerType::Svc => {
                let spatial = layers.spatial_layer.min(Layers::HIGHEST.spatial);
                Selected { encoding: 0, layers: Layers { spatial, temporal } }
            }
            ConsumerType::Simple | ConsumerType::Pipe => Selected { encoding: 0, layers: Layers::HIGHEST },
        }
    }

    fn as_layers(&self, selected: Selected) -> ConsumerLayers {
        let spatial_layer =
            if self.is_simulcast() { selected.encoding } else { selected.layers.spatial.min(self.top.0) };
        ConsumerLayers { spatial_layer, temporal_layer: Some(selected.layers.temporal.min(self.top.1)) }
    }
}

/// The temporal layer from this frame on: the highest towards `target` that the frame lets a receiver begin.
fn raised(layers: Layers, target: u8, frame: &FrameInfo) -> u8 {
    let is_member = frame.members.contains(layers);
    let can_begin = |temporal: u8| {
        frame.switches.contains(Layers { temporal, ..layers })
            && (is_member || temporal == layers.temporal + 1 && frame.temporal_id == temporal)
    };
    (layers.temporal + 1..=target).rev().find(|temporal| can_begin(*temporal)).unwrap_or(layers.temporal)
}

#[cfg(test)]
mod tests;
