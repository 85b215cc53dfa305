//! Transport-wide feedback: which packets of a transport arrived, and when
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1).
//!
//! A message has a list of packet status chunks, two bytes each and covering up to 8191 packets, and then one receive delta of
//! one or two bytes for each packet that arrived.

use super::feedback_type::TRANSPORT_WIDE;
use super::packet_type::TRANSPORT_LAYER_FEEDBACK;
use super::writer::{packet, put_u32};
use crate::wire::reader::{Reader, sign_extend_24};

/// RTCP header, SSRCs and the fields of [`TransportFeedbackHeader`], in bytes.
const HEADER_LEN: usize = 20;
/// Most packets that a run length chunk covers.
const MAX_RUN_LENGTH: usize = 8191;
/// Packets that a status vector chunk of one bit each covers.
const ONE_BIT_SYMBOLS: usize = 14;
/// Packets that a status vector chunk of two bits each covers.
const TWO_BIT_SYMBOLS: usize = 7;

/// Everything in the message but the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportFeedbackHeader {
    /// Who reports.
    pub sender_ssrc: u32,
    /// Any one of the transport's streams.
    pub media_ssrc: u32,
    /// Transport-wide sequence number of the first packet reported.
    pub base_sequence_number: u16,
    /// When the first packet's delta starts counting, in units of 64 ms of a clock of the reporter's choice. Signed 24 bits,
    /// wrapping.
    pub reference_time_64ms: i32,
    /// Number of this message, to notice lost ones.
    pub feedback_packet_count: u8,
}

/// View of a transport-wide feedback message. It has been walked once: there is a status and, where it needs one, a delta for
/// every packet.
#[derive(Clone, Copy, Debug)]
pub struct TransportFeedback<'a> {
    /// Everything but the packets.
    pub header: TransportFeedbackHeader,
    /// Number of packets reported, from `base_sequence_number` on.
    pub packet_status_count: u16,
    chunks_and_deltas: &'a [u8],
    chunks_len: usize,
}

impl<'a> TransportFeedback<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        let (sender_ssrc, media_ssrc) = (reader.u32()?, reader.u32()?);
        let base_sequence_number = reader.u16()?;
        let packet_status_count = reader.u16()?;
        let header = TransportFeedbackHeader {
            sender_ssrc,
            media_ssrc,
            base_sequence_number,
            reference_time_64ms: sign_extend_24(reader.u24()?),
            feedback_packet_count: reader.u8()?,
        };
        let chunks_and_deltas = reader.rest();
        let chunks_len = checked_chunks_len(chunks_and_deltas, packet_status_count)?;
        Some(Self { header, packet_status_count, chunks_and_deltas, chunks_len })
    }

    /// The packets in order: transport-wide sequence number, and how long after the packet that arrived before it (or after
    /// the reference time, for the first) it arrived, in units of 250 µs; `None` if it did not arrive.
    pub fn packets(&self) -> PacketStatuses<'a> {
        let (chunks, deltas) = self.chunks_and_deltas.split_at_checked(self.chunks_len).unwrap_or_default();
        PacketStatuses {
            chunks: Reader::new(chunks),
            deltas: Reader::new(deltas),
            chunk: Chunk::EMPTY,
            next_sequence_number: self.header.base_sequence_number,
            remaining: self.packet_status_count,
        }
    }
}

/// Iterator of [`TransportFeedback::packets`].
#[derive(Clone, Debug)]
pub struct PacketStatuses<'a> {
    chunks: Reader<'a>,
    deltas: Reader<'a>,
    chunk: Chunk,
    next_sequence_number: u16,
    remaining: u16,
}

impl Iterator for PacketStatuses<'_> {
    type Item = (u16, Option<i16>);

    fn next(&mut self) -> Option<Self::Item> {
        self.remaining = self.remaining.checked_sub(1)?;
        // A run may have length 0.
        while self.chunk.len == 0 {
            self.chunk = Chunk::decode(self.chunks.u16()?);
        }
        let delta = match self.chunk.pop() {
            Symbol::NotReceived => None,
            Symbol::SmallDelta => Some(i16::from(self.deltas.u8()?)),
            Symbol::LargeDelta => Some(self.deltas.u16()? as i16),
            Symbol::Reserved => return None,
        };
        let sequence_number = self.next_sequence_number;
        self.next_sequence_number = sequence_number.wrapping_add(1);
        Some((sequence_number, delta))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(usize::from(self.remaining)))
    }
}

/// Appends one message for as many of the packets as fit `max_len` bytes, header included, and returns how many those are. The
/// caller writes the others in a further message with a base sequence number, reference time and count of its own.
///
/// `deltas` has an entry for each packet from `header.base_sequence_number` on: units of 250 µs after the packet that arrived
/// before it (or after the reference time), `None` if it did not arrive. Appends nothing and returns 0 if there are none or
/// none fits.
pub fn write_transport_feedback(
    out: &mut Vec<u8>,
    header: &TransportFeedbackHeader,
    deltas: &[Option<i16>],
    max_len: usize,
) -> usize {
    let start = out.len();
    let deltas = deltas.get(..usize::from(u16::MAX)).unwrap_or(deltas);
    let mut written = 0;
    packet(out, TRANSPORT_WIDE, TRANSPORT_LAYER_FEEDBACK, |out| {
        write_header(out, header);
        written = write_chunks(out, deltas, (max_len & !3).saturating_sub(HEADER_LEN));
        set_packet_status_count(out, start, written as u16);
        for &delta in deltas.iter().take(written) {
            match (Symbol::of(delta), delta) {
                (Symbol::SmallDelta, Some(delta)) => out.push(delta as u8),
                (_, Some(delta)) => out.extend_from_slice(&delta.to_be_bytes()),
                (_, None) => {}
            }
        }
        append_padding(out, start);
    });
    if written == 0 {
        out.truncate(start);
    }
    written
}

fn write_header(out: &mut Vec<u8>, header: &TransportFeedbackHeader) {
    put_u32(out, header.sender_ssrc);
    put_u32(out, header.media_ssrc);
    // The count of packets is known only once the chunks are written.
    put_u32(out, u32::from(header.base_sequence_number) << 16);
    put_u32(out, (header.reference_time_64ms as u32) << 8 | u32::from(header.feedback_packet_count));
}

fn set_packet_status_count(out: &mut [u8], start: usize, count: u16) {
    if let Some(bytes) = out.get_mut(start + 14..start + 16) {
        bytes.copy_from_slice(&count.to_be_bytes());
    }
}

/// Fills up to 32 bits, and says so in the header: what follows the deltas cannot be told from a delta otherwise.
fn append_padding(out: &mut Vec<u8>, start: usize) {
    let padding_len = (out.len() - start).next_multiple_of(4) - (out.len() - start);
    if padding_len == 0 {
        return;
    }
    out.resize(out.len() + padding_len - 1, 0);
    out.push(padding_len as u8);
    if let Some(first) = out.get_mut(start) {
        *first |= 0x20;
    }
}

/// Appends chunks for as many packets as fit `budget` bytes, the deltas that go with them counted too.
fn write_chunks(out: &mut Vec<u8>, deltas: &[Option<i16>], budget: usize) -> usize {
    let mut written = 0;
    let mut left = budget;
    while let Some(rest) = deltas.get(written..).filter(|rest| !rest.is_empty()) {
        let Some(room) = left.checked_sub(2) else { break };
        let mut chunk = Chunk::choose(rest);
        let fitting = fitting_prefix(chunk.covered(rest), room);
        if fitting < usize::from(chunk.len) {
            let Some(shorter) = rest.get(..fitting).filter(|shorter| !shorter.is_empty()) else { break };
            chunk = Chunk::choose(shorter);
        }
        let covered = chunk.covered(rest);
        left = room - covered.iter().map(|&delta| Symbol::of(delta).delta_len()).sum::<usize>();
        written += covered.len();
        out.extend_from_slice(&chunk.encode().to_be_bytes());
    }
    written
}

/// How many of these packets' deltas fit `room` bytes.
fn fitting_prefix(deltas: &[Option<i16>], room: usize) -> usize {
    let mut used = 0;
    let fits = |delta: &&Option<i16>| {
        used += Symbol::of(**delta).delta_len();
        used <= room
    };
    deltas.iter().take_while(fits).count()
}

/// Walks the chunks: their length in bytes, if they cover `count` packets and there are as many deltas as they ask for.
fn checked_chunks_len(bytes: &[u8], count: u16) -> Option<usize> {
    let mut reader = Reader::new(bytes);
    let mut remaining = usize::from(count);
    let mut deltas_len = 0;
    while remaining > 0 {
        let mut chunk = Chunk::decode(reader.u16()?);
        // Symbols past the last packet are filling, whatever they say.
        chunk.len = chunk.len.min(remaining as u16);
        deltas_len += chunk.deltas_len()?;
        remaining -= usize::from(chunk.len);
    }
    (reader.rest().len() >= deltas_len).then(|| bytes.len() - reader.rest().len())
}

/// What is said about one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Symbol {
    NotReceived = 0,
    SmallDelta = 1,
    LargeDelta = 2,
    Reserved = 3,
}

impl Symbol {
    fn from_bits(bits: u16) -> Self {
        match bits & 3 {
            0 => Self::NotReceived,
            1 => Self::SmallDelta,
            2 => Self::LargeDelta,
            _ => Self::Reserved,
        }
    }

    fn of(delta: Option<i16>) -> Self {
        match delta {
            None => Self::NotReceived,
            Some(0..=255) => Self::SmallDelta,
            Some(_) => Self::LargeDelta,
        }
    }

    fn delta_len(self) -> usize {
        match self {
            Self::NotReceived | Self::Reserved => 0,
            Self::SmallDelta => 1,
            Self::LargeDelta => 2,
        }
    }
}

/// A packet status chunk, from which symbols are taken off the front.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    form: ChunkForm,
    /// Symbols left.
    len: u16,
}

#[derive(Clone, Copy, Debug)]
enum ChunkForm {
    Run(Symbol),
    /// Symbols of one bit, the first in the highest of 14.
    OneBit(u16),
    /// Symbols of two bits, the first in the highest of 14.
    TwoBit(u16),
}

impl Chunk {
    const EMPTY: Self = Self { form: ChunkForm::Run(Symbol::NotReceived), len: 0 };

    fn decode(bits: u16) -> Self {
        if bits & 0x8000 == 0 {
            Self { form: ChunkForm::Run(Symbol::from_bits(bits >> 13)), len: bits & 0x1FFF }
        } else if bits & 0x4000 == 0 {
            Self { form: ChunkForm::OneBit(bits & 0x3FFF), len: ONE_BIT_SYMBOLS as u16 }
        } else {
            Self { form: ChunkForm::TwoBit(bits & 0x3FFF), len: TWO_BIT_SYMBOLS as u16 }
        }
    }

    fn encode(self) -> u16 {
        match self.form {
            ChunkForm::Run(symbol) => (symbol as u16) << 13 | self.len,
            ChunkForm::OneBit(bits) => 0x8000 | bits,
            ChunkForm::TwoBit(bits) => 0xC000 | bits,
        }
    }

    /// The chunk that says most about the first of these packets, which are not none.
    fn choose(deltas: &[Option<i16>]) -> Self {
        let symbols = || deltas.iter().map(|&delta| Symbol::of(delta));
        let first = symbols().next().unwrap_or(Symbol::NotReceived);
        let run = symbols().take(MAX_RUN_LENGTH).take_while(|&symbol| symbol == first).count();
        let no_large = !symbols().take(ONE_BIT_SYMBOLS).any(|symbol| symbol == Symbol::LargeDelta);
        let (width, capacity) = if no_large { (1, ONE_BIT_SYMBOLS) } else { (2, TWO_BIT_SYMBOLS) };
        let len = capacity.min(deltas.len());
        if run >= len {
            return Self { form: ChunkForm::Run(first), len: run as u16 };
        }
        let filled = symbols().chain(std::iter::repeat(Symbol::NotReceived)).take(capacity);
        let bits = filled.fold(0, |bits, symbol| bits << width | symbol as u16);
        let form = if no_large { ChunkForm::OneBit(bits) } else { ChunkForm::TwoBit(bits) };
        Self { form, len: len as u16 }
    }

    /// The packets that a chunk made by [`choose`](Self::choose) speaks of.
    fn covered(self, deltas: &[Option<i16>]) -> &[Option<i16>] {
        deltas.get(..usize::from(self.len)).unwrap_or(deltas)
    }

    fn pop(&mut self) -> Symbol {
        self.len = self.len.saturating_sub(1);
        match &mut self.form {
            ChunkForm::Run(symbol) => *symbol,
            ChunkForm::OneBit(bits) => {
                let symbol = Symbol::from_bits(*bits >> 13 & 1);
                *bits <<= 1;
                symbol
            }
            ChunkForm::TwoBit(bits) => {
                let symbol = Symbol::from_bits(*bits >> 12);
                *bits <<= 2;
                symbol
            }
        }
    }

    /// Bytes of delta that the symbols left ask for. `None` if one of them is reserved.
    fn deltas_len(mut self) -> Option<usize> {
        if let ChunkForm::Run(symbol) = self.form {
            // A run of length 0 says nothing, of whatever.
            let meaningful = symbol != Symbol::Reserved || self.len == 0;
            return meaningful.then(|| symbol.delta_len() * usize::from(self.len));
        }
        let mut total = 0;
        while self.len > 0 {
            let symbol = self.pop();
            if symbol == Symbol::Reserved {
                return None;
            }
            total += symbol.delta_len();
        }
        Some(total)
    }
}
