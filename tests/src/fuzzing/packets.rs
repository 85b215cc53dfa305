//! Datagrams of a client whose SRTP protects nothing: right in most respects, wrong in those that the fuzzer chooses.
use std::time::Instant;

use sansfu::dtls::{ConnectionOutput, DtlsBackend, DtlsRole};
use sansfu::ortc::IceParameters;
use sansfu::srtp::SrtpProfile;
use sansfu::wire::ntp::NtpTime;
use sansfu::wire::rtcp::{
    Dlrr, FirEntry, Pli, ReportBlock, SenderInfo, TransportFeedbackHeader, write_bye, write_cname,
    write_dlrr, write_fir, write_nack, write_pli, write_receiver_report, write_remb, write_rrtr,
    write_sender_report, write_transport_feedback,
};
use sansfu::wire::rtp::{RtpHeader, append_padding, write_extensions};

use crate::choices::Choices;
use crate::fixed_dtls::FixedDtls;
use crate::null_crypto::NULL_TAG;
use crate::world::stun::BindingRequest;

/// The profile of every connection.
pub const PROFILE: SrtpProfile = SrtpProfile::AeadAes128Gcm;
const TAG_LEN: usize = 16;

/// A stream that the client may send.
#[derive(Debug, Clone, Copy)]
pub struct Stream {
    /// Its SSRC.
    pub ssrc: u32,
    /// Its payload type.
    pub payload_type: u8,
    /// The next sequence number.
    pub number: u16,
    /// What MID and RID its packets have, where they have one.
    pub mid: &'static [u8],
    /// See `mid`.
    pub rid: &'static [u8],
}

/// What `FixedDtls` wants to hear of its client.
pub fn hello(backend: &FixedDtls, now: Instant) -> Vec<u8> {
    let mut buffer = [0; 64];
    match backend.connect(DtlsRole::Client, now).poll(&mut buffer) {
        ConnectionOutput::Packet(packet) => packet.to_vec(),
        other => panic!("{other:?}"),
    }
}

/// A binding request with the credentials of a transport, or nearly.
pub fn binding_request(input: &mut Choices<'_>, ice: &IceParameters) -> Vec<u8> {
    let flaw = input.u8();
    let password = if flaw == 1 { "wrong" } else { &ice.password };
    let mut transaction = [input.u8(); 12];
    transaction[0] = flaw;
    BindingRequest {
        username: format!("{}:fuzz", ice.username_fragment),
        password: Some(password.to_owned()).filter(|_| flaw != 2),
        transaction,
        use_candidate: flaw & 4 == 0,
    }
    .to_bytes()
}

/// The next packet of a stream, as a well-behaved client sends it.
pub fn good_rtp(stream: &mut Stream, keyframe: bool, transport_number: u16) -> Vec<u8> {
    let sequence_number = stream.number;
    stream.number = sequence_number.wrapping_add(1);
    let mut out = Vec::new();
    header(stream, sequence_number).write(&mut out);
    let transport_number = transport_number.to_be_bytes();
    let mut list: Vec<(u8, &[u8])> = vec![(1, stream.mid), (2, stream.rid), (5, &transport_number)];
    list.retain(|(_, value)| !value.is_empty());
    write_extensions(&mut out, 0, &list);
    out.extend(media(stream, keyframe));
    out
}

/// An RTP packet of one of these streams, with what extensions and payload the fuzzer likes. Ids of header extensions are those of
/// `scene::productions`.
pub fn any_rtp(input: &mut Choices<'_>, streams: &mut [Stream]) -> Vec<u8> {
    let which = input.range(0, streams.len() as u32) as usize;
    let stream = &mut streams[which];
    let step = input.u8();
    let sequence_number = match step {
        0..=127 => stream.number,
        128..=159 => stream.number.wrapping_add(u16::from(step & 31)),
        160..=223 => stream.number.wrapping_sub(u16::from(step & 63)),
        _ => input.u16(),
    };
    if step < 160 {
        stream.number = sequence_number.wrapping_add(1);
    }
    let odd = input.u8();
    let mut header = header(stream, sequence_number);
    header.marker = odd & 1 != 0;
    if odd > 240 {
        header.payload_type = input.u8() & 127;
    }
    if odd & 0xf0 == 0x80 {
        header.ssrc = input.u32();
    }
    let mut out = Vec::new();
    header.write(&mut out);
    extensions(input, stream, &mut out);
    match odd & 6 {
        0 => out.extend(media(stream, true)),
        2 => out.extend(media(stream, false)),
        4 => {
            let length = usize::from(input.u8() & 31);
            out.extend(input.bytes(length));
            out.resize(out.len() + usize::from(odd >> 3), odd);
        }
        _ => append_padding(&mut out, 0, 1 + (odd >> 4)),
    }
    out
}

fn header(stream: &Stream, sequence_number: u16) -> RtpHeader {
    RtpHeader {
        marker: false,
        payload_type: stream.payload_type,
        sequence_number,
        timestamp: u32::from(sequence_number).wrapping_mul(960),
        ssrc: stream.ssrc,
    }
}

/// The beginning of a frame in the stream's codec; for retransmissions the number of one that was sent shortly before in front.
fn media(stream: &Stream, keyframe: bool) -> Vec<u8> {
    let number = stream.number.to_be_bytes();
    match (stream.payload_type, keyframe) {
        (96, true) => vec![0x90, 0x80, number[1] & 127, 0x10, 0, 0, 0x9d, 1, 0x2a, 64, 1, 240, 0],
        (96, false) => vec![0x90, 0x80, number[1] & 127, 0x11, 0, 0],
        // The retransmission stream begins one number behind the media's.
        (97, _) => vec![number[0], number[1], 0x10, 0x11, 0, 0, 0x9d],
        (102, true) => vec![0x78, 0, 4, 0x67, 0x42, 0xe0, 0x1f, 0, 2, 0x65, 0x88],
        (102, false) => vec![0x41, 0x9a, number[1]],
        (98, true) => vec![0x88, 0x80 | number[0], number[1], 0],
        (98, false) => vec![0xc8, 0x80 | number[0], number[1], 0],
        _ => vec![0xfc, number[0], number[1]],
    }
}

fn extensions(input: &mut Choices<'_>, stream: &Stream, out: &mut Vec<u8>) {
    let wanted = input.u8();
    let number = input.u16().to_be_bytes();
    let mut list: Vec<(u8, &[u8])> = Vec::new();
    if wanted & 1 != 0 && !stream.mid.is_empty() {
        list.push((1, stream.mid));
    }
    if wanted & 2 != 0 && !stream.rid.is_empty() {
        list.push((2 + u8::from(wanted & 128 != 0), stream.rid));
    }
    if wanted & 4 != 0 {
        list.push((5, &number));
    }
    if wanted & 8 != 0 {
        list.push((4, input.bytes(3)));
    }
    if wanted & 16 != 0 {
        list.push((6, &number[..1]));
    }
    if wanted & 32 != 0 {
        list.push((8, input.bytes(usize::from(wanted >> 6) + 3)));
    }
    if wanted & 64 != 0 {
        list.push((number[0] % 15, input.bytes(usize::from(number[1] % 17))));
    }
    list.retain(|(id, value)| (1..15).contains(id) && (1..=16).contains(&value.len()));
    if !list.is_empty() {
        write_extensions(out, 0, &list);
    }
}

/// A compound of RTCP packets about streams that are sent to the server (`own`) and received from it (`theirs`: SSRC, and the last
/// sequence number that came).
pub fn rtcp(input: &mut Choices<'_>, own: &[Stream], theirs: &[(u32, u16)]) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..input.range(1, 4) {
        let mut ssrc = |input: &mut Choices<'_>| match input.u8() {
            255 => input.u32(),
            at if theirs.is_empty() => u32::from(at),
            at => theirs[usize::from(at) % theirs.len()].0,
        };
        let sender = own.get(usize::from(input.u8())).map_or(5, |stream| stream.ssrc);
        match input.range(0, 12) {
            0 | 1 => {
                let blocks = [report_block(input, &mut ssrc), report_block(input, &mut ssrc)];
                write_receiver_report(&mut out, sender, &blocks[..usize::from(input.u8() % 3)]);
            }
            2 => {
                let block = report_block(input, &mut ssrc);
                write_sender_report(&mut out, sender, &sender_info(input), &[block]);
            }
            3..=5 => {
                let about = ssrc(input);
                let last = theirs.iter().find(|(ssrc, _)| *ssrc == about).map_or(0, |(_, last)| *last);
                let numbers: Vec<u16> =
                    (0..input.u8() & 15).map(|_| last.wrapping_sub(u16::from(input.u8() & 63))).collect();
                write_nack(&mut out, sender, about, &numbers);
            }
            6 => write_pli(&mut out, Pli { sender_ssrc: sender, media_ssrc: ssrc(input) }),
            7 => {
                let entry = FirEntry { ssrc: ssrc(input), sequence_number: input.u8() };
                write_fir(&mut out, sender, &[entry]);
            }
            8 => write_remb(&mut out, sender, u64::from(input.u32()) << (input.u8() & 31), &[ssrc(input)]),
            9 => write_bye(&mut out, &[sender]),
            10 => extended_report(input, sender, &mut out),
            _ => feedback(input, sender, &mut out),
        }
    }
    if input.percent(10) {
        let length = usize::from(input.u8());
        out.extend(input.bytes(length));
    }
    if input.percent(10) {
        out.truncate(usize::from(input.u8()));
    }
    out
}

fn report_block(input: &mut Choices<'_>, ssrc: &mut impl FnMut(&mut Choices<'_>) -> u32) -> ReportBlock {
    ReportBlock {
        ssrc: ssrc(input),
        fraction_lost: input.u8(),
        cumulative_lost: i32::from(input.u16() as i16),
        extended_highest_sequence_number: input.u32(),
        jitter: u32::from(input.u16()),
        last_sr: input.u32(),
        delay_since_last_sr: input.u32(),
    }
}

fn sender_info(input: &mut Choices<'_>) -> SenderInfo {
    SenderInfo {
        ntp_time: NtpTime(u64::from(input.u32()) << 32 | u64::from(input.u16())),
        rtp_timestamp: input.u32(),
        packet_count: input.u32(),
        octet_count: input.u32(),
    }
}

fn extended_report(input: &mut Choices<'_>, sender: u32, out: &mut Vec<u8>) {
    if input.u8() & 1 == 0 {
        write_rrtr(out, sender, NtpTime(u64::from(input.u32()) << 32));
    } else {
        let dlrr = Dlrr { ssrc: input.u32(), last_rr: input.u32(), delay_since_last_rr: input.u32() };
        write_dlrr(out, sender, &[dlrr]);
    }
    write_cname(out, sender, input.bytes(7));
}

fn feedback(input: &mut Choices<'_>, sender: u32, out: &mut Vec<u8>) {
    let header = TransportFeedbackHeader {
        sender_ssrc: sender,
        media_ssrc: 0,
        base_sequence_number: input.u16(),
        reference_time_64ms: i32::from(input.u16()),
        feedback_packet_count: input.u8(),
    };
    let count = input.u8() % 60;
    let deltas: Vec<_> = (0..count)
        .map(|_| Some(input.u8()).filter(|delta| *delta != 0).map(|delta| i16::from(delta) - 8))
        .collect();
    write_transport_feedback(out, &header, &deltas, 1_200);
}

/// What the sealing of SRTP with no ciphers adds.
pub fn seal_rtp(mut packet: Vec<u8>) -> Vec<u8> {
    packet.extend(&NULL_TAG[..TAG_LEN]);
    packet
}

/// What the sealing of SRTCP with no ciphers adds; `index` grows by one with each packet of a client.
pub fn seal_rtcp(mut packet: Vec<u8>, index: u32) -> Vec<u8> {
    packet.extend(&NULL_TAG[..TAG_LEN]);
    packet.extend((index | 1 << 31).to_be_bytes());
    packet
}

/// The RTP packet in what the server sends.
pub fn open_rtp(datagram: &[u8]) -> &[u8] {
    &datagram[..datagram.len() - TAG_LEN]
}
