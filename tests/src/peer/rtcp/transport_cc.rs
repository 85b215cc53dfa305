//! Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1).
use super::Cursor;

/// Arrival times are multiples of this many microseconds.
const TICK_US: i64 = 250;
/// The reference time is a multiple of this many ticks: 64 ms.
const REFERENCE_TICKS: i64 = 256;
/// Most packets that one run-length chunk tells of.
const MAX_RUN: usize = 0x1FFF;

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// It did not come.
    Lost,
    /// It came at this time, in ticks of 250 µs from where the reference time counts.
    AtTick(i64),
}

/// A feedback packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportFeedback {
    /// Who reports.
    pub sender_ssrc: u32,
    /// A stream of the transport.
    pub media_ssrc: u32,
    /// Counts feedback packets.
    pub feedback_count: u8,
    /// Transport-wide sequence number of the first packet.
    pub base: u16,
    /// What became of it and of those that follow.
    pub arrivals: Vec<Arrival>,
}

impl TransportFeedback {
    /// The sequence numbers that it tells of, and what became of each packet.
    pub fn packets(&self) -> impl Iterator<Item = (u16, Arrival)> {
        self.arrivals.iter().enumerate().map(|(i, arrival)| (self.base.wrapping_add(i as u16), *arrival))
    }

    pub(super) fn parse(body: &mut Cursor<'_>) -> Option<Self> {
        let (sender_ssrc, media_ssrc) = (body.u32()?, body.u32()?);
        let (base, count) = (body.u16()?, usize::from(body.u16()?));
        let word = body.u32()?;
        // 24 bits with their sign.
        let mut tick = i64::from(word as i32 >> 8) * REFERENCE_TICKS;
        let symbols = parse_symbols(body, count)?;
        let mut arrivals = Vec::with_capacity(count);
        for symbol in symbols {
            let delta = match symbol {
                0 => {
                    arrivals.push(Arrival::Lost);
                    continue;
                }
                1 => i64::from(body.u8()?),
                2 => i64::from(body.u16()? as i16),
                _ => return None,
            };
            tick += delta;
            arrivals.push(Arrival::AtTick(tick));
        }
        Some(TransportFeedback { sender_ssrc, media_ssrc, feedback_count: word as u8, base, arrivals })
    }

    /// # Panics
    /// If two arrivals are further apart than 16 bits of ticks (8 s) tell.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let first = self.arrivals.iter().find_map(|arrival| match arrival {
            Arrival::AtTick(tick) => Some(*tick),
            Arrival::Lost => None,
        });
        let reference = first.unwrap_or(0).div_euclid(REFERENCE_TICKS);
        let mut tick = reference * REFERENCE_TICKS;
        let deltas: Vec<Option<i64>> =
            self.arrivals.iter().map(|arrival| delta(*arrival, &mut tick)).collect();
        let symbols: Vec<u8> = deltas.iter().map(|delta| symbol(*delta)).collect();
        out.extend(self.sender_ssrc.to_be_bytes());
        out.extend(self.media_ssrc.to_be_bytes());
        out.extend(self.base.to_be_bytes());
        out.extend((self.arrivals.len() as u16).to_be_bytes());
        out.extend(((reference as u32) << 8 | u32::from(self.feedback_count)).to_be_bytes());
        write_symbols(&symbols, out);
        for delta in deltas.into_iter().flatten() {
            match u8::try_from(delta) {
                Ok(small) => out.push(small),
                Err(_) => out.extend(i16::try_from(delta).expect("arrivals within 8 s").to_be_bytes()),
            }
        }
    }
}

/// The tick of a time in microseconds.
pub(crate) fn tick_of_us(time_us: i64) -> i64 {
    time_us.div_euclid(TICK_US)
}

fn delta(arrival: Arrival, tick: &mut i64) -> Option<i64> {
    let Arrival::AtTick(at) = arrival else { return None };
    let delta = at - *tick;
    *tick = at;
    Some(delta)
}

/// Not received, small delta, large or negative delta (section 3.1.1).
fn symbol(delta: Option<i64>) -> u8 {
    match delta {
        None => 0,
        Some(0..=255) => 1,
        Some(_) => 2,
    }
}

/// Runs where at least seven are alike, else vectors of seven two-bit symbols (sections 3.1.3 and 3.1.4).
fn write_symbols(symbols: &[u8], out: &mut Vec<u8>) {
    let mut rest = symbols;
    while let Some(&first) = rest.first() {
        let run = rest.iter().take(MAX_RUN).take_while(|symbol| **symbol == first).count();
        let (chunk, used) = if run >= 7 || run == rest.len() {
            (u16::from(first) << 13 | run as u16, run)
        } else {
            let used = rest.len().min(7);
            let bits = |bits: u16, (i, symbol): (usize, &u8)| bits | u16::from(*symbol) << (12 - 2 * i);
            (0xC000 | rest[..used].iter().enumerate().fold(0, bits), used)
        };
        out.extend(chunk.to_be_bytes());
        rest = &rest[used..];
    }
}

fn parse_symbols(body: &mut Cursor<'_>, count: usize) -> Option<Vec<u8>> {
    let mut symbols = Vec::with_capacity(count);
    while symbols.len() < count {
        let chunk = body.u16()?;
        match chunk >> 14 {
            0 | 1 => {
                let run = usize::from(chunk & 0x1FFF);
                symbols.resize(symbols.len() + run, (chunk >> 13 & 3) as u8);
            }
            2 => symbols.extend((0..14).map(|i| (chunk >> (13 - i) & 1) as u8)),
            _ => symbols.extend((0..7).map(|i| (chunk >> (12 - 2 * i) & 3) as u8)),
        }
        if chunk >> 15 == 0 && chunk & 0x1FFF == 0 {
            return None; // a run of nothing: would never end
        }
    }
    symbols.truncate(count);
    Some(symbols)
}
