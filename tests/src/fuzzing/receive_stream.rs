//! A received stream against sets of what came and what was asked for.
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use sansfu::stream::receive::{ReceiveParams, ReceiveStream, Received};
use sansfu::wire::ntp::NtpTime;
use sansfu::wire::rtcp::SenderInfo;

use crate::choices::Choices;
use crate::world::epoch;

/// More than that much behind the highest number may be judged as too old.
const WINDOW: u64 = 2_048;

#[derive(Default)]
struct Model {
    /// The extended numbers that came since the last restart.
    came: BTreeSet<u64>,
    asked: BTreeSet<u64>,
    packets: u64,
    bytes: u64,
    repaired: u64,
    refused: u64,
    requests: u64,
}

impl Model {
    /// Judges what the stream says of a packet. With `by_rtx` it is a retransmission.
    fn packet(&mut self, number: u16, size: u64, received: Received, by_rtx: bool) {
        let highest = self.came.last().copied();
        let ext_seq = match received {
            // It may have been asked for and given up.
            Received::New { ext_seq } => {
                assert!(!by_rtx);
                ext_seq
            }
            Received::Recovered { ext_seq } => {
                assert!(by_rtx || self.asked.contains(&ext_seq));
                self.repaired += 1;
                ext_seq
            }
            Received::Restarted { ext_seq } => {
                assert!(!by_rtx && highest.is_some_and(|highest| ext_seq > highest));
                self.came.clear();
                self.asked.clear();
                ext_seq
            }
            Received::Duplicate | Received::TooOld => {
                self.refused += 1;
                return;
            }
        };
        assert_eq!(ext_seq as u16, number);
        assert!(self.came.insert(ext_seq), "{ext_seq} came before");
        assert!(highest.is_none_or(|highest| ext_seq + WINDOW > highest));
        self.packets += 1;
        self.bytes += size;
    }

    fn asked_for(&mut self, numbers: &[u16]) {
        let highest = self.came.last().copied().unwrap_or_default();
        for &number in numbers {
            let ext_seq = highest - u64::from((highest as u16).wrapping_sub(number));
            assert!(!self.came.contains(&ext_seq), "{ext_seq} has come");
            self.asked.insert(ext_seq);
        }
        self.requests += numbers.len() as u64;
    }
}

/// Packets and retransmissions in any order, reports and NACKs, at any time.
pub fn receive_stream(data: &[u8]) {
    let mut input = Choices::from_bytes(data);
    let use_nack = input.u8() & 1 == 0;
    let params = ReceiveParams { ssrc: 1, rtx_ssrc: Some(2), clock_rate: 90_000, use_nack };
    let mut stream = ReceiveStream::new(params);
    let mut model = Model::default();
    let (mut now, mut rtx_number) = (epoch(), input.u16());
    let mut last = input.u16();
    while !input.is_exhausted() {
        let action = input.range(0, 32);
        now += Duration::from_millis(u64::from(action & 3) * 7);
        let highest = stream.highest().map_or(last, |highest| highest as u16);
        match action {
            0..=19 => {
                let number = number(&mut input, action, highest, last);
                let received = stream.receive(now, number, u32::from(number) * 3_000, 100);
                model.packet(number, 100, received, false);
                last = number;
            }
            20..=23 => {
                rtx_number = rtx_number.wrapping_add(1);
                let number = highest.wrapping_sub(u16::from(input.u8())).wrapping_add(3);
                let received = stream.receive_rtx(now, number, 50, rtx_number);
                model.packet(number, 50, received, true);
            }
            24 => {
                let before = refused(&stream, now);
                stream.receive_rtx_padding(input.u16());
                model.refused += refused(&stream, now) - before;
            }
            25 => stream.on_keyframe(stream.highest().unwrap_or_default()),
            26 => sender_report(&mut input, &mut stream, now),
            27 | 28 => report(&mut stream, &model, now),
            29 => now += Duration::from_millis(u64::from(input.u16())),
            30 => {
                stream.on_inactive();
                assert_eq!(stream.score(), 0);
            }
            _ => now = stream.nack_deadline().map_or(now, |at| now.max(at)),
        }
        poll_nack(&mut stream, &mut model, now, use_nack);
        check(&stream, &model, now);
    }
}

fn number(input: &mut Choices<'_>, action: u32, highest: u16, last: u16) -> u16 {
    match action {
        0..=9 => highest.wrapping_add(1),
        10..=12 => highest.wrapping_add(u16::from(input.u8() & 15)),
        13..=15 => highest.wrapping_sub(u16::from(input.u8())),
        16 => last.wrapping_add(1),
        17 => highest.wrapping_add(input.range(0, 3_100) as u16),
        18 => highest.wrapping_sub(input.range(0, 2_100) as u16),
        _ => input.u16(),
    }
}

fn sender_report(input: &mut Choices<'_>, stream: &mut ReceiveStream, now: Instant) {
    let ntp_time = NtpTime(u64::from(input.u32()) << 16);
    let info = SenderInfo {
        ntp_time,
        rtp_timestamp: input.u32(),
        packet_count: input.u32(),
        octet_count: input.u32(),
    };
    stream.on_sender_report(now, info);
    assert_eq!(stream.sender_report_anchor(), Some((info.ntp_time, info.rtp_timestamp)));
}

fn report(stream: &mut ReceiveStream, model: &Model, now: Instant) {
    let [block, rtx_block] = stream.report_blocks(now);
    assert_eq!(block.is_some(), model.packets > 0 && stream.highest().is_some());
    assert!(rtx_block.is_none_or(|block| block.ssrc == 2));
    let Some(block) = block else { return };
    assert_eq!(block.ssrc, 1);
    assert_eq!(block.cumulative_lost, stream.stats(now).packets_lost);
    assert_eq!(block.fraction_lost, stream.stats(now).fraction_lost);
    let reported = u64::from(block.extended_highest_sequence_number) + 0x1_0000;
    assert!(reported <= model.came.last().copied().unwrap_or_default());
}

fn poll_nack(stream: &mut ReceiveStream, model: &mut Model, now: Instant, use_nack: bool) {
    let mut out = Vec::new();
    let poll = stream.poll_nack(now, Duration::from_millis(30), &mut out);
    assert_eq!(poll.requested, out.len());
    assert!(use_nack || (out.is_empty() && !poll.keyframe_needed));
    assert!(stream.nack_deadline().is_none_or(|at| at > now));
    model.asked_for(&out);
}

fn check(stream: &ReceiveStream, model: &Model, now: Instant) {
    let stats = stream.stats(now);
    assert_eq!((stats.packet_count, stats.byte_count), (model.packets, model.bytes));
    assert_eq!(stats.packets_repaired, model.repaired);
    assert_eq!(stats.duplicates + stats.packets_discarded, model.refused);
    assert_eq!(stats.nack_packet_count, model.requests);
    assert!(stats.score <= 10 && stats.late <= model.packets);
    assert_eq!(stream.highest(), model.came.last().copied());
}

fn refused(stream: &ReceiveStream, now: Instant) -> u64 {
    let stats = stream.stats(now);
    stats.duplicates + stats.packets_discarded
}
