//! What a client sends: its tracks, packet by packet, and its answers to what the server asks of them.
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::args::Args;
use super::path::Path;
use super::resend::History;
use super::socket::since_1970;
use super::source::{OpusSource, Vp8Source, stamp};
use super::stats::Totals;
use crate::peer::rtcp::{self, Rtcp, SenderInfo};

/// Of the RTP packet without SRTP, UDP and IP: what libwebrtc allows itself.
const MAX_PACKET_BYTES: usize = 1_200;
/// The time between two sender reports.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Frames of one encoding that are made up for when the thread was late; older ones are left out, as a camera does.
const MOST_FRAMES_LATE: u32 = 3;
/// NTP counts from 1900, the clock from 1970.
const NTP_OFFSET: Duration = Duration::from_secs(2_208_988_800);

/// Payload types and header extension ids, as Chromium numbers them.
const VP8: u8 = 96;
const RTX: u8 = 97;
const OPUS: u8 = 111;
const AUDIO_LEVEL: u8 = 1;
const ABS_SEND_TIME: u8 = 2;
const TRANSPORT_CC: u8 = 3;
const MID: u8 = 4;
const RID: u8 = 10;
const REPAIRED_RID: u8 = 11;
/// Sound at -30 dBov with voice activity (RFC 6464 section 3).
const LEVEL: u8 = 0x80 | 30;
/// Encodings of simulcast, smallest first: how many times smaller than the largest in width and in bits.
const SIMULCAST: [(u16, u64); 3] = [(4, 16), (2, 4), (1, 1)];
/// Of the largest encoding.
const SIZE: (u16, u16) = (1_280, 720);

/// The tracks of one client.
#[derive(Debug)]
pub struct Publishing {
    tracks: Vec<Track>,
    next_transport_number: u16,
    next_report_at: Option<Instant>,
    /// The packet that is being made.
    packet: Vec<u8>,
}

/// A track, described and not begun.
#[derive(Debug)]
pub struct Track {
    mid: u8,
    encodings: Vec<Encoding>,
}

#[derive(Debug)]
struct Encoding {
    source: Source,
    ssrc: u32,
    rid: Option<u8>,
    interval: Duration,
    clock_rate: u32,
    due_at: Option<Instant>,
    /// Its media time: from it timestamps and keyframe intervals follow.
    elapsed: Duration,
    first_timestamp: u32,
    /// Extended, as SRTP counts.
    sequence: u64,
    /// Of what is sent again.
    rtx_sequence: u64,
    history: History,
    packets: u32,
    octets: u32,
    /// Whether the server has reported on it and needs neither MID nor RID any more.
    is_known: bool,
}

#[derive(Debug)]
enum Source {
    Opus(OpusSource),
    Vp8(Vp8Source),
}

impl Track {
    /// What the publisher of a number sends.
    pub fn all(args: &Args, publisher: u32) -> Vec<Track> {
        let mut tracks = Vec::new();
        let ssrc = 1_000_000 + 100 * publisher;
        if args.audio {
            let source = Source::Opus(OpusSource::new(u64::from(ssrc)));
            let encoding = Encoding::new(source, ssrc, None, OpusSource::INTERVAL, 48_000);
            tracks.push(Track { mid: b'0', encodings: vec![encoding] });
        }
        if args.video_kbps > 0 {
            let encodings = if args.simulcast { &SIMULCAST[..] } else { &SIMULCAST[2..] };
            let interval = Duration::from_secs(1) / args.fps;
            let encoding = |(nth, (by_width, by_bits)): (u32, &(u16, u64))| {
                let ssrc = ssrc + 10 + 2 * nth;
                let size = (SIZE.0 / by_width, SIZE.1 / by_width);
                let bitrate_bps = u64::from(args.video_kbps) * 1_000 / by_bits;
                let layers = if args.simulcast { 2 } else { 1 };
                let source = Vp8Source::new(u64::from(ssrc), bitrate_bps, args.fps, size, layers);
                let rid = args.simulcast.then(|| b'0' + nth as u8);
                Encoding::new(Source::Vp8(source), ssrc, rid, interval, 90_000)
            };
            tracks.push(Track { mid: b'1', encodings: (0..).zip(encodings).map(encoding).collect() });
        }
        tracks
    }

    /// `audio` or `video`.
    pub fn kind(&self) -> &'static str {
        if self.is_video() { "video" } else { "audio" }
    }

    /// What is signalled of it, as `mediasoup-client` has it from Chromium.
    pub fn rtp_parameters(&self, fps: u32) -> Value {
        let mut extensions = vec![
            json!({ "uri": "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time", "id": ABS_SEND_TIME }),
            json!({ "uri": "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
                    "id": TRANSPORT_CC }),
            json!({ "uri": "urn:ietf:params:rtp-hdrext:sdes:mid", "id": MID }),
        ];
        if self.is_video() {
            let names = [("rtp-stream-id", RID), ("repaired-rtp-stream-id", REPAIRED_RID)];
            let name =
                |(name, id)| json!({ "uri": format!("urn:ietf:params:rtp-hdrext:sdes:{name}"), "id": id });
            extensions.extend(names.map(name));
        } else {
            extensions
                .push(json!({ "uri": "urn:ietf:params:rtp-hdrext:ssrc-audio-level", "id": AUDIO_LEVEL }));
        }
        let encodings: Vec<Value> =
            self.encodings.iter().map(|encoding| encoding.parameters(self.is_video(), fps)).collect();
        json!({
            "mid": char::from(self.mid).to_string(),
            "codecs": codecs(self.is_video()),
            "headerExtensions": extensions,
            "encodings": encodings,
            "rtcp": { "cname": "load", "reducedSize": true },
        })
    }

    fn is_video(&self) -> bool {
        matches!(self.encodings[0].source, Source::Vp8(_))
    }
}

impl Publishing {
    /// Nothing yet.
    pub fn new() -> Self {
        let packet = Vec::with_capacity(2 * MAX_PACKET_BYTES);
        Publishing { tracks: Vec::new(), next_transport_number: 1, next_report_at: None, packet }
    }

    /// Begins to send a track, at any moment within its interval: publishers do not keep step with each other.
    pub fn add(&mut self, now: Instant, mut track: Track) {
        for encoding in &mut track.encodings {
            let part = f64::from(encoding.ssrc.wrapping_mul(2_654_435_769) >> 16) / 65_536.0;
            encoding.due_at = Some(now + encoding.interval.mul_f64(part));
        }
        // The encodings of one camera are of the same pictures.
        let first = track.encodings[0].due_at;
        track.encodings.iter_mut().for_each(|encoding| encoding.due_at = first);
        self.next_report_at.get_or_insert(now + REPORT_INTERVAL);
        self.tracks.push(track);
    }

    /// Sends what is due.
    pub fn poll(&mut self, now: Instant, path: &mut Path, totals: &mut Totals) {
        let Publishing { tracks, next_transport_number, packet, .. } = self;
        let mut out = Out { path, totals, packet, next_transport_number };
        for track in tracks {
            for encoding in &mut track.encodings {
                encoding.poll(now, track.mid, &mut out);
            }
        }
        if self.next_report_at.is_some_and(|at| at <= now) {
            self.next_report_at = Some(now + REPORT_INTERVAL);
            self.report(path);
        }
    }

    /// When something is due.
    pub fn deadline(&self) -> Option<Instant> {
        let encodings = self.tracks.iter().flat_map(|track| &track.encodings);
        encodings.filter_map(|encoding| encoding.due_at).chain(self.next_report_at).min()
    }

    /// Takes what the server says of what it gets.
    pub fn handle_rtcp(&mut self, compound: &[u8], path: &mut Path, totals: &mut Totals) {
        for packet in rtcp::parse(compound).unwrap_or_default() {
            match packet {
                Rtcp::Pli { media_ssrc, .. } => self.request_keyframe(media_ssrc, totals),
                Rtcp::Fir(_, entries) => {
                    entries.iter().for_each(|(ssrc, _)| self.request_keyframe(*ssrc, totals));
                }
                Rtcp::Nack { media_ssrc, lost, .. } => self.resend(media_ssrc, &lost, path, totals),
                Rtcp::ReceiverReport(_, blocks) | Rtcp::SenderReport(_, _, blocks) => {
                    for block in blocks {
                        if let Some(encoding) = self.encoding_mut(block.ssrc) {
                            encoding.is_known = true;
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn request_keyframe(&mut self, ssrc: u32, totals: &mut Totals) {
        totals.keyframe_requests += 1;
        if let Some(Source::Vp8(source)) = self.encoding_mut(ssrc).map(|encoding| &mut encoding.source) {
            source.request_keyframe();
        }
    }

    fn resend(&mut self, ssrc: u32, lost: &[u16], path: &mut Path, totals: &mut Totals) {
        totals.asked_again += lost.len() as u64;
        let Publishing { tracks, next_transport_number, packet, .. } = self;
        let mut out = Out { path, totals, packet, next_transport_number };
        for track in tracks {
            for encoding in track.encodings.iter_mut().filter(|encoding| encoding.ssrc == ssrc) {
                lost.iter().for_each(|number| encoding.resend(*number, track.mid, &mut out));
            }
        }
    }

    fn encoding_mut(&mut self, ssrc: u32) -> Option<&mut Encoding> {
        let mut encodings = self.tracks.iter_mut().flat_map(|track| &mut track.encodings);
        encodings.find(|encoding| encoding.ssrc == ssrc)
    }

    fn report(&self, path: &mut Path) {
        let ntp_time = ntp(since_1970());
        for encoding in self.tracks.iter().flat_map(|track| &track.encodings) {
            let info = SenderInfo {
                ntp_time,
                rtp_timestamp: encoding.timestamp(),
                packet_count: encoding.packets,
                octet_count: encoding.octets,
            };
            let name = vec![(encoding.ssrc, "load".to_owned())];
            let report = Rtcp::SenderReport(encoding.ssrc, info, Vec::new());
            path.send_rtcp(rtcp::write(&[report, Rtcp::SourceDescription(name)]));
        }
    }
}

impl Default for Publishing {
    fn default() -> Self {
        Publishing::new()
    }
}

/// Where packets go.
struct Out<'a> {
    path: &'a mut Path,
    totals: &'a mut Totals,
    packet: &'a mut Vec<u8>,
    next_transport_number: &'a mut u16,
}

impl Encoding {
    fn new(source: Source, ssrc: u32, rid: Option<u8>, interval: Duration, clock_rate: u32) -> Self {
        Encoding {
            source,
            ssrc,
            rid,
            interval,
            clock_rate,
            due_at: None,
            elapsed: Duration::ZERO,
            first_timestamp: ssrc.wrapping_mul(2_654_435_769),
            sequence: 1 + u64::from(ssrc % 1_000),
            rtx_sequence: 1,
            history: History::default(),
            packets: 0,
            octets: 0,
            is_known: false,
        }
    }

    fn parameters(&self, is_video: bool, fps: u32) -> Value {
        match (is_video, self.rid) {
            (false, _) => json!({ "ssrc": self.ssrc, "dtx": false }),
            (true, None) => {
                json!({ "ssrc": self.ssrc, "rtx": { "ssrc": self.ssrc + 1 }, "maxFramerate": fps })
            }
            (true, Some(rid)) => {
                json!({ "rid": char::from(rid).to_string(), "scalabilityMode": "L1T2", "maxFramerate": fps })
            }
        }
    }

    fn timestamp(&self) -> u32 {
        let ticks = self.elapsed.as_nanos() * u128::from(self.clock_rate) / 1_000_000_000;
        self.first_timestamp.wrapping_add(ticks as u32)
    }

    fn poll(&mut self, now: Instant, mid: u8, out: &mut Out<'_>) {
        let Some(mut due_at) = self.due_at else { return };
        let late = now.saturating_duration_since(due_at);
        if let Some(skipped) = late.checked_sub(self.interval * MOST_FRAMES_LATE) {
            // Whole frames, so that timestamps stay in step.
            let frames = (skipped.as_nanos() / self.interval.as_nanos()) as u32;
            due_at += self.interval * frames;
            self.elapsed += self.interval * frames;
        }
        while due_at <= now {
            self.send_frame(mid, out);
            due_at += self.interval;
            self.elapsed += self.interval;
        }
        self.due_at = Some(due_at);
    }

    fn send_frame(&mut self, mid: u8, out: &mut Out<'_>) {
        let max_bytes = MAX_PACKET_BYTES - self.header_bytes(mid);
        match &mut self.source {
            Source::Opus(_) => self.send_packet(OPUS, true, mid, out, |source, packet| {
                if let Source::Opus(source) = source {
                    source.write(packet);
                }
            }),
            Source::Vp8(source) => {
                let frame = source.next_frame(self.elapsed);
                let mut lengths = frame.packets(max_bytes).peekable();
                let mut is_first = true;
                while let Some(bytes) = lengths.next() {
                    let is_last = lengths.peek().is_none();
                    self.send_packet(VP8, is_last, mid, out, |_, packet| {
                        frame.write(is_first, bytes, packet)
                    });
                    is_first = false;
                }
            }
        }
    }

    fn send_packet(
        &mut self,
        payload_type: u8,
        marker: bool,
        mid: u8,
        out: &mut Out<'_>,
        write_payload: impl FnOnce(&mut Source, &mut Vec<u8>),
    ) {
        let head = Head {
            payload_type,
            marker,
            sequence: self.sequence,
            timestamp: self.timestamp(),
            ssrc: self.ssrc,
            level: self.level(),
            names: self.names(mid),
        };
        let sent_at = since_1970();
        let header_bytes = out.begin(&head, sent_at);
        write_payload(&mut self.source, out.packet);
        let payload = &mut out.packet[header_bytes..];
        stamp::write(payload, sent_at);
        if matches!(self.source, Source::Vp8(_)) {
            self.history.keep(self.sequence, head.timestamp, marker, payload);
        }
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload.len() as u32);
        out.totals.sent += 1;
        out.totals.sent_bytes += out.packet.len() as u64;
        out.path.send_rtp(out.packet, header_bytes, self.sequence);
        self.sequence += 1;
    }

    /// Sends a packet again, with its number before its payload (RFC 4588 section 4).
    fn resend(&mut self, sequence_number: u16, mid: u8, out: &mut Out<'_>) {
        let Some(kept) = self.history.find(sequence_number) else { return };
        let head = Head {
            payload_type: RTX,
            marker: kept.marker,
            sequence: self.rtx_sequence,
            timestamp: kept.timestamp,
            ssrc: self.ssrc + 1,
            level: None,
            names: Names { mid: Some(mid), rid: self.rid.map(|rid| (REPAIRED_RID, rid)) },
        };
        let header_bytes = out.begin(&head, since_1970());
        out.packet.extend(sequence_number.to_be_bytes());
        out.packet.extend_from_slice(&kept.payload);
        out.path.send_rtp(out.packet, header_bytes, self.rtx_sequence);
        self.rtx_sequence += 1;
    }

    fn header_bytes(&self, mid: u8) -> usize {
        12 + 4 + extension_bytes(self.level(), &self.names(mid))
    }

    fn level(&self) -> Option<u8> {
        matches!(self.source, Source::Opus(_)).then_some(LEVEL)
    }

    /// What tells the server which stream it is, until it reports on it.
    fn names(&self, mid: u8) -> Names {
        match self.is_known {
            true => Names::default(),
            false => Names { mid: Some(mid), rid: self.rid.map(|rid| (RID, rid)) },
        }
    }
}

/// The header of a packet.
struct Head {
    payload_type: u8,
    marker: bool,
    sequence: u64,
    timestamp: u32,
    ssrc: u32,
    level: Option<u8>,
    names: Names,
}

/// MID, and RID or repaired RID with the id of its header extension.
#[derive(Default)]
struct Names {
    mid: Option<u8>,
    rid: Option<(u8, u8)>,
}

impl Out<'_> {
    /// Begins a packet; gives the length of its header.
    fn begin(&mut self, head: &Head, sent_at: Duration) -> usize {
        let out = &mut *self.packet;
        out.clear();
        out.extend([0x90, u8::from(head.marker) << 7 | head.payload_type]);
        out.extend((head.sequence as u16).to_be_bytes());
        out.extend(head.timestamp.to_be_bytes());
        out.extend(head.ssrc.to_be_bytes());
        let extension_bytes = extension_bytes(head.level, &head.names);
        out.extend([0xbe, 0xde, 0, (extension_bytes / 4) as u8]);
        let end = out.len() + extension_bytes;
        let [high, low] = self.next_transport_number.to_be_bytes();
        *self.next_transport_number = self.next_transport_number.wrapping_add(1);
        out.extend([TRANSPORT_CC << 4 | 1, high, low, ABS_SEND_TIME << 4 | 2]);
        // 6 bits of seconds, 18 of fraction: the middle of an NTP time.
        out.extend(&((ntp(sent_at) >> 14) as u32).to_be_bytes()[1..]);
        out.extend(head.level.into_iter().flat_map(|level| [AUDIO_LEVEL << 4, level]));
        out.extend(head.names.mid.into_iter().flat_map(|mid| [MID << 4, mid]));
        out.extend(head.names.rid.into_iter().flat_map(|(id, rid)| [id << 4, rid]));
        out.resize(end, 0);
        end
    }
}

/// Header extensions in the one-byte form (RFC 8285 section 4.2), padded to whole words: transport-wide number (3 bytes), absolute
/// send time (4), and 2 for each of the others.
fn extension_bytes(level: Option<u8>, names: &Names) -> usize {
    let others = [level.is_some(), names.mid.is_some(), names.rid.is_some()];
    (3 + 4 + 2 * others.into_iter().filter(|is_there| *is_there).count()).next_multiple_of(4)
}

fn ntp(since_1970: Duration) -> u64 {
    let time = since_1970 + NTP_OFFSET;
    (time.as_secs() << 32) | ((u64::from(time.subsec_nanos()) << 32) / 1_000_000_000)
}

fn codecs(is_video: bool) -> Value {
    if !is_video {
        return json!([{
            "mimeType": "audio/opus", "payloadType": OPUS, "clockRate": 48_000, "channels": 2,
            "parameters": { "minptime": 10, "useinbandfec": 1 },
            "rtcpFeedback": [{ "type": "transport-cc", "parameter": "" }],
        }]);
    }
    json!([
        { "mimeType": "video/VP8", "payloadType": VP8, "clockRate": 90_000, "parameters": {}, "rtcpFeedback": [
            { "type": "goog-remb", "parameter": "" }, { "type": "transport-cc", "parameter": "" },
            { "type": "ccm", "parameter": "fir" }, { "type": "nack", "parameter": "" },
            { "type": "nack", "parameter": "pli" }] },
        { "mimeType": "video/rtx", "payloadType": RTX, "clockRate": 90_000, "parameters": { "apt": VP8 },
          "rtcpFeedback": [] },
    ])
}
