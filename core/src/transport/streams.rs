//! Which producer a received RTP packet belongs to.
//!
//! By SSRC, else by MID with RID or repaired RID, else by RID alone, else by MID alone (mediasoup's order; RFC 8843 section 9.2,
//! RFC 8852). What was found by another way than SSRC is remembered by SSRC.
use std::collections::HashMap;

use crate::arena::Id;
use crate::id::tag;
use crate::ortc::{HeaderExtensionUri, RtpParameters};
use crate::wire::rtp::RtpView;

/// A stream of a producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamRef {
    /// The producer.
    pub producer: Id<tag::Producer>,
    /// Which of its encodings.
    pub encoding: u8,
    /// Whether it is the stream of retransmissions.
    pub is_rtx: bool,
}

/// What [`StreamTable::find`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// A stream known by its SSRC.
    Known(StreamRef),
    /// A stream whose SSRC was not known until now.
    Discovered(StreamRef),
}

/// The streams of the producers of one transport.
#[derive(Debug, Default)]
pub struct StreamTable {
    by_ssrc: HashMap<u32, StreamRef>,
    sections: Vec<Section>,
    mid_id: u8,
    rid_id: u8,
    repaired_rid_id: u8,
}

/// How one producer's streams are recognised before their SSRCs are known.
#[derive(Debug)]
struct Section {
    producer: Id<tag::Producer>,
    mid: Option<String>,
    rids: Vec<Option<String>>,
    rtx_payload_types: Vec<u8>,
}

impl StreamTable {
    /// Adds the streams of a producer, which must clash with none that is there (see `ortc::check_unique_in_transport`).
    pub fn add(&mut self, producer: Id<tag::Producer>, parameters: &RtpParameters) {
        for (stream, ssrc) in ssrcs(producer, parameters) {
            self.by_ssrc.insert(ssrc, stream);
        }
        let id = |uri, present: u8| parameters.header_extension_id(uri).unwrap_or(present);
        self.mid_id = id(HeaderExtensionUri::Mid, self.mid_id);
        self.rid_id = id(HeaderExtensionUri::Rid, self.rid_id);
        self.repaired_rid_id = id(HeaderExtensionUri::RepairedRid, self.repaired_rid_id);
        self.sections.push(Section {
            producer,
            mid: parameters.mid.clone(),
            rids: parameters.encodings.iter().map(|encoding| encoding.rid.clone()).collect(),
            rtx_payload_types: parameters
                .codecs
                .iter()
                .filter(|codec| codec.is_rtx())
                .map(|codec| codec.payload_type)
                .collect(),
        });
    }

    /// Removes the streams of a producer: those of its parameters and the SSRCs given as discovered.
    pub fn remove(&mut self, producer: Id<tag::Producer>, known_ssrcs: impl Iterator<Item = u32>) {
        self.sections.retain(|section| section.producer != producer);
        for ssrc in known_ssrcs {
            if self.by_ssrc.get(&ssrc).is_some_and(|stream| stream.producer == producer) {
                self.by_ssrc.remove(&ssrc);
            }
        }
    }

    /// Forgets an SSRC that its stream no longer uses.
    pub fn forget(&mut self, ssrc: u32) {
        self.by_ssrc.remove(&ssrc);
    }

    /// The stream of a packet.
    pub fn find(&mut self, packet: &RtpView<'_>) -> Option<Found> {
        if let Some(stream) = self.by_ssrc.get(&packet.ssrc()) {
            return Some(Found::Known(*stream));
        }
        let stream = self.discover(packet)?;
        self.by_ssrc.insert(packet.ssrc(), stream);
        Some(Found::Discovered(stream))
    }

    /// The stream of an SSRC, for RTCP.
    pub fn get(&self, ssrc: u32) -> Option<StreamRef> {
        self.by_ssrc.get(&ssrc).copied()
    }

    /// How many SSRCs are known.
    pub fn len(&self) -> usize {
        self.by_ssrc.len()
    }

    /// Whether no SSRC is known.
    pub fn is_empty(&self) -> bool {
        self.by_ssrc.is_empty()
    }

    fn discover(&self, packet: &RtpView<'_>) -> Option<StreamRef> {
        let (mut mid, mut rid, mut repaired_rid) = (None, None, None);
        for (id, value) in packet.extensions().filter(|(id, _)| *id != 0) {
            if id == self.mid_id {
                mid = std::str::from_utf8(value).ok();
            } else if id == self.rid_id {
                rid = std::str::from_utf8(value).ok();
            } else if id == self.repaired_rid_id {
                repaired_rid = std::str::from_utf8(value).ok();
            }
        }
        let is_rtx = repaired_rid.is_some();
        let sections = self.sections.iter().filter(|section| mid.is_none() || section.mid.as_deref() == mid);
        if let Some(rid) = repaired_rid.or(rid) {
            let by_rid = |section: &Section| {
                let encoding = section.rids.iter().position(|own| own.as_deref() == Some(rid))?;
                let is_rtx = is_rtx || section.rtx_payload_types.contains(&packet.payload_type());
                Some(StreamRef { producer: section.producer, encoding: encoding as u8, is_rtx })
            };
            if let Some(stream) = sections.clone().find_map(by_rid) {
                return Some(stream);
            }
        }
        // A MID alone names a stream only where there is one: of several encodings it could be any.
        mid?;
        let section = sections.clone().find(|section| section.rids.len() == 1)?;
        let is_rtx = section.rtx_payload_types.contains(&packet.payload_type());
        Some(StreamRef { producer: section.producer, encoding: 0, is_rtx })
    }
}

fn ssrcs(
    producer: Id<tag::Producer>,
    parameters: &RtpParameters,
) -> impl Iterator<Item = (StreamRef, u32)> + '_ {
    parameters.encodings.iter().enumerate().flat_map(move |(index, encoding)| {
        let stream = |is_rtx| StreamRef { producer, encoding: index as u8, is_rtx };
        let media = encoding.ssrc.map(|ssrc| (stream(false), ssrc));
        let rtx = encoding.rtx.as_ref().map(|rtx| (stream(true), rtx.ssrc));
        media.into_iter().chain(rtx)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::rtp::{RtpHeader, write_extensions};

    fn producer(index: u64) -> Id<tag::Producer> {
        Id::from_bits(index)
    }

    fn parameters(encodings: serde_json::Value, mid: Option<&str>) -> RtpParameters {
        let extension = |uri: HeaderExtensionUri, id| json!({ "uri": uri.as_str(), "id": id });
        RtpParameters::from_json(&json!({
            "mid": mid,
            "codecs": [
                { "mimeType": "video/VP8", "payloadType": 96, "clockRate": 90000 },
                { "mimeType": "video/rtx", "payloadType": 97, "clockRate": 90000, "parameters": { "apt": 96 } },
            ],
            "headerExtensions": [
                extension(HeaderExtensionUri::Mid, 1),
                extension(HeaderExtensionUri::Rid, 2),
                extension(HeaderExtensionUri::RepairedRid, 3),
            ],
            "encodings": encodings,
        }))
        .unwrap()
    }

    fn packet(ssrc: u32, payload_type: u8, extensions: &[(u8, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let header = RtpHeader { payload_type, marker: false, sequence_number: 1, timestamp: 2, ssrc };
        header.write(&mut bytes);
        write_extensions(&mut bytes, 0, extensions);
        bytes.push(0);
        bytes
    }

    fn find(
        table: &mut StreamTable,
        ssrc: u32,
        payload_type: u8,
        extensions: &[(u8, &[u8])],
    ) -> Option<Found> {
        let bytes = packet(ssrc, payload_type, extensions);
        table.find(&RtpView::parse(&bytes).unwrap())
    }

    fn stream(index: u64, encoding: u8, is_rtx: bool) -> StreamRef {
        StreamRef { producer: producer(index), encoding, is_rtx }
    }

    #[test]
    fn signalled_ssrcs_are_known() {
        let mut table = StreamTable::default();
        table.add(producer(1), &parameters(json!([{ "ssrc": 10, "rtx": { "ssrc": 11 } }]), Some("0")));
        assert_eq!(find(&mut table, 10, 96, &[]), Some(Found::Known(stream(1, 0, false))));
        assert_eq!(find(&mut table, 11, 97, &[]), Some(Found::Known(stream(1, 0, true))));
        assert_eq!(find(&mut table, 12, 96, &[]), None);
    }

    #[test]
    fn simulcast_is_found_by_rid_and_its_repairs_by_repaired_rid() {
        let mut table = StreamTable::default();
        table.add(producer(1), &parameters(json!([{ "rid": "r0" }, { "rid": "r1" }]), Some("0")));
        let rid = find(&mut table, 20, 96, &[(1, b"0"), (2, b"r1")]);
        assert_eq!(rid, Some(Found::Discovered(stream(1, 1, false))));
        let repaired = find(&mut table, 21, 97, &[(1, b"0"), (3, b"r1")]);
        assert_eq!(repaired, Some(Found::Discovered(stream(1, 1, true))));
        assert_eq!(
            find(&mut table, 20, 96, &[]),
            Some(Found::Known(stream(1, 1, false))),
            "remembered by SSRC"
        );
        assert_eq!(find(&mut table, 22, 96, &[(1, b"0")]), None, "a MID alone does not say which encoding");
        assert_eq!(find(&mut table, 23, 96, &[(1, b"0"), (2, b"r7")]), None);
    }

    #[test]
    fn the_same_rid_in_two_sections_is_told_apart_by_mid() {
        let mut table = StreamTable::default();
        table.add(producer(1), &parameters(json!([{ "rid": "r0" }, { "rid": "r1" }]), Some("0")));
        table.add(producer(2), &parameters(json!([{ "rid": "r0" }, { "rid": "r1" }]), Some("1")));
        let found = find(&mut table, 30, 96, &[(1, b"1"), (2, b"r0")]);
        assert_eq!(found, Some(Found::Discovered(stream(2, 0, false))));
        assert_eq!(find(&mut table, 31, 96, &[(1, b"9"), (2, b"r0")]), None);
    }

    #[test]
    fn a_single_stream_is_found_by_mid_and_told_from_its_repairs_by_payload_type() {
        let mut table = StreamTable::default();
        table.add(producer(3), &parameters(json!([{}]), Some("v")));
        assert_eq!(find(&mut table, 40, 96, &[(1, b"v")]), Some(Found::Discovered(stream(3, 0, false))));
        assert_eq!(find(&mut table, 41, 97, &[(1, b"v")]), Some(Found::Discovered(stream(3, 0, true))));
    }

    #[test]
    fn a_removed_producer_is_not_found_by_anything() {
        let mut table = StreamTable::default();
        table.add(producer(1), &parameters(json!([{ "ssrc": 10 }]), Some("0")));
        find(&mut table, 50, 97, &[(1, b"0")]);
        table.remove(producer(1), [10, 50].into_iter());
        assert_eq!(find(&mut table, 10, 96, &[(1, b"0")]), None);
        assert!(table.is_empty());
    }
}
