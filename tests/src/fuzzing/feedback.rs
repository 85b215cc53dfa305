//! Transport-wide feedback against what a naive decoder makes of it.
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sansfu::bwe::feedback::TransportFeedbackRecorder;

use crate::choices::Choices;
use crate::world::epoch;

const WINDOW: u64 = 1_024;
const SENDER_SSRC: u32 = 0x5e4d_e400;

/// Arrival times in units of 250 µs by extended number.
#[derive(Default)]
struct Model {
    arrivals: BTreeMap<u64, u64>,
    highest: u64,
    next: u64,
    stale: u32,
    messages: u8,
}

impl Model {
    /// A number is the nearest one to the highest; what is half a window behind or more is stale, and ten of those in a row, or
    /// a step by a whole window, begin anew.
    fn packet(&mut self, number: u16, tick: u64) {
        let distance = i64::from(number.wrapping_sub(self.highest as u16) as i16);
        let ext_seq = self.highest.saturating_add_signed(distance);
        if self.arrivals.is_empty() || ext_seq >= self.highest + WINDOW {
            let first = self.arrivals.is_empty();
            self.begin(if first { 0x1_0000 + u64::from(number) } else { ext_seq }, tick);
        } else if ext_seq + WINDOW / 2 > self.highest {
            if self.arrivals.contains_key(&ext_seq) {
                return;
            }
            self.arrivals.insert(ext_seq, tick);
            self.highest = self.highest.max(ext_seq);
            self.next = self.next.min(ext_seq).max((self.highest + 1).saturating_sub(WINDOW));
        } else {
            self.stale += 1;
            if self.stale < 10 {
                return;
            }
            let ahead = u64::from(number.wrapping_sub(self.highest as u16));
            self.begin(self.highest + ahead, tick);
        }
        self.stale = 0;
    }

    fn begin(&mut self, ext_seq: u64, tick: u64) {
        self.arrivals = BTreeMap::from([(ext_seq, tick)]);
        (self.highest, self.next) = (ext_seq, ext_seq);
    }

    fn check(&mut self, message: &[u8], media_ssrc: u32) {
        let message = Message::decode(message);
        assert_eq!((message.sender_ssrc, message.media_ssrc), (SENDER_SSRC, media_ssrc));
        assert_eq!((message.base, message.count), (self.next as u16, self.messages));
        assert!(!message.statuses.is_empty());
        for status in &message.statuses {
            let arrived = self.arrivals.get(&self.next).copied();
            // The reference time has 24 bits.
            let arrived = arrived.map(|tick| tick & 0xffff_ffff);
            assert_eq!(*status, arrived, "number {}", self.next);
            self.next += 1;
        }
        assert!(self.next <= self.highest + 1, "what was never sent is not reported");
        self.messages = self.messages.wrapping_add(1);
    }
}

/// A message with its arrival times in units of 250 µs, modulo 2³².
struct Message {
    sender_ssrc: u32,
    media_ssrc: u32,
    base: u16,
    count: u8,
    statuses: Vec<Option<u64>>,
}

impl Message {
    fn decode(bytes: &[u8]) -> Self {
        let mut input = Choices::from_bytes(bytes);
        let [first, payload_type] = [input.u8(), input.u8()];
        assert_eq!((first & 0xdf, payload_type), (0x8f, 205));
        assert_eq!(usize::from(input.u16()), bytes.len() / 4 - 1);
        assert!(bytes.len().is_multiple_of(4) && bytes.len() <= 1_100);
        let (sender_ssrc, media_ssrc) = (input.u32(), input.u32());
        let (base, status_count) = (input.u16(), usize::from(input.u16()));
        let reference = input.u32();
        let mut symbols = Vec::new();
        while symbols.len() < status_count {
            chunk(input.u16(), &mut symbols);
        }
        let mut tick = u64::from(reference >> 8) << 8;
        let mut status = |symbol: &u8| {
            let delta = match symbol {
                0 => return None,
                1 => i64::from(input.u8()),
                2 => i64::from(input.u16() as i16),
                _ => panic!("a reserved symbol"),
            };
            tick = tick.wrapping_add_signed(delta) & 0xffff_ffff;
            Some(tick)
        };
        let statuses = symbols[..status_count].iter().map(&mut status).collect();
        let padding = input.bytes(4);
        assert!(
            padding.len() < 4
                && (padding.is_empty() || usize::from(padding[padding.len() - 1]) == padding.len())
        );
        assert_eq!(first & 0x20 != 0, !padding.is_empty());
        Message { sender_ssrc, media_ssrc, base, count: reference as u8, statuses }
    }
}

/// Section 3.1.3 and 3.1.4 of the draft: a run, 14 symbols of one bit, or 7 of two.
fn chunk(bits: u16, symbols: &mut Vec<u8>) {
    match bits >> 14 {
        0 | 1 => symbols.extend((0..bits & 0x1fff).map(|_| (bits >> 13 & 3) as u8)),
        2 => symbols.extend((0..14).map(|at| (bits >> (13 - at) & 1) as u8)),
        _ => symbols.extend((0..7).map(|at| (bits >> (12 - 2 * at) & 3) as u8)),
    }
}

/// Packets in order, with gaps, late and from anywhere; feedback whenever it is due.
pub fn feedback(data: &[u8]) {
    let mut input = Choices::from_bytes(data);
    let start = epoch();
    let mut recorder = TransportFeedbackRecorder::new(start);
    let mut model = Model::default();
    let mut elapsed = Duration::from_micros(250 * (1 + u64::from(input.u16())));
    while !input.is_exhausted() {
        let action = input.u8();
        elapsed += match action >> 5 {
            0..=3 => Duration::from_micros(u64::from(input.u8()) * 100),
            4 | 5 => Duration::ZERO,
            6 => Duration::from_millis(u64::from(input.u8())),
            _ => Duration::from_millis(u64::from(input.u16()) * 4),
        };
        let highest = model.highest as u16;
        let number = match action & 15 {
            0..=7 => highest.wrapping_add(1),
            8 => highest.wrapping_add(u16::from(input.u8())),
            9 => highest.wrapping_add(input.range(0, 1_100) as u16),
            10..=12 => highest.wrapping_sub(u16::from(input.u8())),
            13 => highest.wrapping_sub(input.range(500, 530) as u16),
            _ => input.u16(),
        };
        let now = start + elapsed;
        // The high bits of the step are the repetition of a good row.
        let repeats = if action & 31 == 7 { u16::from(input.u8()) } else { 1 };
        for step in 0..repeats {
            recorder.on_packet(
                now,
                number.wrapping_add(step),
                u32::from(number),
                usize::from(number) % 1_500,
            );
            model.packet(number.wrapping_add(step), (elapsed.as_micros() / 250) as u64);
            if action & 16 == 0 {
                write(&mut recorder, &mut model, now);
            }
        }
    }
    if let Some(at) = recorder.deadline() {
        write(&mut recorder, &mut model, at.max(start + elapsed));
        assert_eq!(model.next, model.highest + 1, "all is reported");
    }
}

fn write(recorder: &mut TransportFeedbackRecorder, model: &mut Model, now: Instant) {
    let mut messages = 0;
    while recorder.is_due(now) {
        let mut out = vec![0xaa; 3];
        let written = recorder.write(now, &mut out, SENDER_SSRC);
        assert_eq!((written, &out[..3]), (true, &[0xaa; 3][..]));
        let media_ssrc = u32::from_be_bytes([out[11], out[12], out[13], out[14]]);
        model.check(&out[3..], media_ssrc);
        messages += 1;
        assert!(messages < WINDOW, "it does not end");
    }
    assert!(!recorder.write(now, &mut Vec::new(), SENDER_SSRC));
    assert!(recorder.deadline().is_none_or(|at| at > now));
}
