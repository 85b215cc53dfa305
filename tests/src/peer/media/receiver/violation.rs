//! The rules that a forwarded stream can break.
use std::fmt;

use super::FrameId;
use crate::peer::media::frame::{Marks, Mismatch};
use crate::peer::rtp::RtpError;

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// Not an RTP packet.
    NotRtp(RtpError),
    /// Of neither the consumer's SSRC nor its RTX SSRC.
    Ssrc(u32),
    /// Not the payload type of the stream.
    PayloadType(u8),
    /// Another MID than the consumer's.
    Mid(String),
    /// The payload of that sequence number is not what the producer sent.
    Payload(u16, Mismatch),
    /// A dependency descriptor that does not belong to the packet.
    DependencyDescriptor(Marks),
    /// Two different packets under one sequence number.
    SequenceReused(u16),
    /// Sequence numbers go on too far away for a loss.
    SequenceJump {
        /// The highest before.
        from: u16,
        /// Where they go on.
        to: u16,
    },
    /// Consecutive sequence numbers, but something is left out within the frame.
    FrameBroken {
        /// The packet that came.
        found: Marks,
        /// The index that was due.
        expected_index: u16,
    },
    /// Another frame begins where this one is not at its end, and is no keyframe of another source.
    FrameCutShort(FrameId),
    /// A frame begins with a packet that is not its first.
    FrameHeadless(FrameId),
    /// A frame comes behind one that was captured later.
    FrameOrder {
        /// The frame before.
        before: FrameId,
        /// The one that came.
        found: FrameId,
    },
    /// The packets of one picture have different timestamps.
    TimestampsInPicture(FrameId),
    /// Timestamps do not go on as the capture times of the encoding do.
    TimestampDrift {
        /// The frame.
        frame: FrameId,
        /// What its timestamp was to be.
        expected: u32,
        /// What it is.
        found: u32,
    },
    /// The timestamp does not come after the one before.
    TimestampBackwards(FrameId),
    /// The marker is set where the picture goes on.
    MarkerInsidePicture(FrameId),
    /// The marker is not set at the end of this picture.
    MarkerMissing(FrameId),
    /// The picture id does not go on from the one before.
    PictureId {
        /// The frame.
        frame: FrameId,
        /// What was to come.
        expected: u16,
        /// What came.
        found: u16,
    },
    /// TL0PICIDX does not count the frames of the base temporal layer.
    Tl0PictureIndex {
        /// The frame.
        frame: FrameId,
        /// What was to come.
        expected: u8,
        /// What came.
        found: u8,
    },
    /// Another encoding, and not with a keyframe.
    SwitchWithoutKeyframe(FrameId),
    /// The stream begins with something else than a keyframe, though nothing is lost.
    StartsWithoutKeyframe(FrameId),
    /// A whole frame, in order; but what it depends on was never forwarded, though nothing is lost.
    ReferenceNotForwarded {
        /// The frame.
        frame: FrameId,
        /// The number of the picture that it refers to.
        picture: u32,
        /// The spatial layer that it refers to.
        spatial_id: u8,
    },
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a forwarded stream breaks a rule: {self:?}")
    }
}

impl std::error::Error for Violation {}
