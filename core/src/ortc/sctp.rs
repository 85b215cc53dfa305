//! SCTP in signaling: associations and streams of data channels.

use serde::{Deserialize, Serialize};

use super::OrtcError;
use super::json::{Node, json_dictionary};

/// Highest stream id: 65535 is not one (RFC 8832 section 6).
pub const MAX_STREAM_ID: u16 = 65534;

/// The SCTP association of a transport.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SctpParameters {
    /// SCTP port, 5000.
    pub port: u16,
    /// Outgoing streams, for clients of earlier versions.
    #[serde(rename = "OS")]
    pub os: u16,
    /// Incoming streams at most, for clients of earlier versions.
    #[serde(rename = "MIS")]
    pub mis: u16,
    /// In bytes, for clients of earlier versions.
    pub max_message_size: u32,
    /// The longest message that the server sends, in bytes.
    pub max_send_message_size: u32,
    /// The longest message that the server receives, in bytes.
    pub max_receive_message_size: u32,
}

/// How one data channel uses its SCTP stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", try_from = "serde_json::Value")]
pub struct SctpStreamParameters {
    /// 0 to [`MAX_STREAM_ID`].
    pub stream_id: u16,
    /// Whether messages arrive in the order in which they were sent.
    pub ordered: bool,
    /// A message is given up after that many milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_packet_life_time: Option<u16>,
    /// A message is given up after that many retransmissions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_retransmits: Option<u16>,
}

json_dictionary!(SctpStreamParameters, "sctpStreamParameters");

impl SctpStreamParameters {
    pub(super) fn read(node: &Node<'_>) -> Result<Self, OrtcError> {
        node.expect_object()?;
        let ordered = node.member("ordered");
        let life_time = node.member("maxPacketLifeTime");
        let retransmits = node.member("maxRetransmits");
        let max_packet_life_time = read_limit(&life_time)?;
        let max_retransmits = read_limit(&retransmits)?;
        // 0 stays as it is, but does not count as a limit here, as in mediasoup.
        let limited_time = max_packet_life_time.is_some_and(|limit| limit > 0);
        let limited_retransmits = max_retransmits.is_some_and(|limit| limit > 0);
        if limited_time && limited_retransmits {
            return Err(retransmits.error("must not be given together with maxPacketLifeTime"));
        }
        let limited = limited_time || limited_retransmits;
        let ordered_wish = if ordered.is_absent() { None } else { Some(ordered.boolean_or_false()?) };
        if ordered_wish == Some(true) && limited {
            return Err(ordered.error("must not be true with maxPacketLifeTime or maxRetransmits"));
        }
        Ok(Self {
            stream_id: narrow(node.member("streamId").integer(0, MAX_STREAM_ID.into())?),
            ordered: ordered_wish.unwrap_or(!limited),
            max_packet_life_time,
            max_retransmits,
        })
    }
}

/// What a data consumer may ask to be different from its data producer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DataConsumerReliability {
    /// `Some(true)` also removes both limits.
    pub ordered: Option<bool>,
    /// In milliseconds.
    pub max_packet_life_time: Option<u16>,
    /// A number of retransmissions.
    pub max_retransmits: Option<u16>,
}

/// The stream parameters of a data consumer: the data producer's, with its own stream id and what it asks for.
///
/// `ordered: true` removes the limits. A limit without it makes the stream unordered, and is added to the other limit
/// of the data producer, not put in its place: so both may be in the result.
pub fn data_consumer_stream_parameters(
    producer: &SctpStreamParameters,
    wish: &DataConsumerReliability,
    stream_id: u16,
) -> SctpStreamParameters {
    let mut parameters = SctpStreamParameters { stream_id, ..*producer };
    if let Some(ordered) = wish.ordered {
        parameters.ordered = ordered;
    }
    if wish.ordered == Some(true) {
        parameters.max_packet_life_time = None;
        parameters.max_retransmits = None;
        return parameters;
    }
    if wish.max_packet_life_time.is_some_and(|limit| limit > 0) {
        parameters.max_packet_life_time = wish.max_packet_life_time;
        parameters.ordered = false;
    }
    if wish.max_retransmits.is_some_and(|limit| limit > 0) {
        parameters.max_retransmits = wish.max_retransmits;
        parameters.ordered = false;
    }
    parameters
}

/// Gives the data consumers of one transport their stream ids: 0, 1, 2, … without those that are taken.
#[derive(Debug, Clone, Default)]
pub struct StreamIds {
    next: u16,
}

impl StreamIds {
    /// The next free id below `limit`, going round; an error when all are taken.
    pub fn allocate(&mut self, limit: u16, is_taken: impl Fn(u16) -> bool) -> Result<u16, OrtcError> {
        for offset in 0..limit {
            let candidate = u32::from(self.next).wrapping_add(u32::from(offset)) % u32::from(limit);
            let candidate = narrow(candidate.into());
            if !is_taken(candidate) {
                self.next = (candidate + 1) % limit;
                return Ok(candidate);
            }
        }
        Err(OrtcError::exhausted("no SCTP stream id is free"))
    }
}

fn read_limit(node: &Node<'_>) -> Result<Option<u16>, OrtcError> {
    Ok(node.optional_integer(0, u16::MAX.into())?.map(narrow))
}

/// For numbers that are known to fit.
fn narrow(number: u64) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}
