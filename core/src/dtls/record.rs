//! A look at the records of a datagram, as far as they can be read without keys.
//!
//! Everything in epoch 0 may come from anybody who can write the client's address into a datagram. What a DTLS library makes
//! of that is its own business; what need not reach it is dropped here.

/// Length of the header of a record in plaintext and of any DTLS 1.2 record (RFC 6347 section 4.1), bytes.
const HEADER_LEN: usize = 13;

/// Length of the header of a handshake fragment (RFC 6347 section 4.2.2), bytes.
const HANDSHAKE_HEADER_LEN: usize = 12;

const CHANGE_CIPHER_SPEC: u8 = 20;
const HANDSHAKE: u8 = 22;

/// No flight in plaintext has more messages than that, with a retried ClientHello.
const MAX_MESSAGE_SEQ: u16 = 8;

/// A certificate chain is the longest message; the library would hold that much for whoever asks.
const MAX_MESSAGE_LEN: usize = 1 << 15;

/// A flight in one datagram has fewer.
const MAX_RECORDS: usize = 8;

/// How far a handshake has come, for what may still be of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It runs.
    Handshake,
    /// It is over, but the client may have lost our last flight and ask for it by repeating its own (RFC 6347 section 4.2.4).
    Connected12,
    /// It is over, and its last flights were encrypted.
    Connected13,
}

/// Whether a datagram consists of records that are well formed, and of which each is encrypted or of use in `phase`.
///
/// In plaintext that is neither alerts nor application data. An alert cannot be told from a stranger's wish that the
/// connection ends, and a peer that means it goes silent anyway.
pub(super) fn is_useful(mut datagram: &[u8], phase: Phase) -> bool {
    let mut count = 0;
    while let Some(&first) = datagram.first() {
        count += 1;
        if count > MAX_RECORDS {
            return false;
        }
        // The unified header of DTLS 1.3 (RFC 9147 section 4): encrypted, and for the library to take apart.
        if first & 0xE0 == 0x20 {
            return true;
        }
        let Some((record, rest)) = split_record(datagram) else { return false };
        let is_plaintext = record.epoch == 0;
        if is_plaintext && !is_useful_plaintext(&record, phase) {
            return false;
        }
        datagram = rest;
    }
    count > 0
}

/// The random value of the ClientHello in plaintext with whose beginning a datagram begins.
pub(super) fn client_hello_random(datagram: &[u8]) -> Option<[u8; 32]> {
    const CLIENT_HELLO: u8 = 1;
    let (record, _) = split_record(datagram)?;
    let is_plaintext_handshake = record.epoch == 0 && record.content_type == HANDSHAKE;
    let is_first_fragment = record.body.get(6..9) == Some(&[0, 0, 0]);
    if !is_plaintext_handshake || record.body.first() != Some(&CLIENT_HELLO) || !is_first_fragment {
        return None;
    }
    // Behind the version (RFC 5246 section 7.4.1.2).
    record.body.get(HANDSHAKE_HEADER_LEN + 2..HANDSHAKE_HEADER_LEN + 34)?.try_into().ok()
}

struct Record<'a> {
    content_type: u8,
    epoch: u16,
    body: &'a [u8],
}

fn split_record(datagram: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let (header, rest) = datagram.split_at_checked(HEADER_LEN)?;
    let read_u16 = |at: usize| header.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes);
    let (body, rest) = rest.split_at_checked(usize::from(read_u16(11)?))?;
    Some((Record { content_type: *header.first()?, epoch: read_u16(3)?, body }, rest))
}

fn is_useful_plaintext(record: &Record<'_>, phase: Phase) -> bool {
    match (record.content_type, phase) {
        (HANDSHAKE, Phase::Handshake | Phase::Connected12) => has_plausible_fragments(record.body),
        (CHANGE_CIPHER_SPEC, Phase::Handshake | Phase::Connected12) => record.body == [1],
        _ => false,
    }
}

/// Whether `body` is whole fragments of handshake messages, each within its message.
fn has_plausible_fragments(mut body: &[u8]) -> bool {
    while !body.is_empty() {
        let Some((header, rest)) = body.split_at_checked(HANDSHAKE_HEADER_LEN) else { return false };
        let read_u24 = |at: usize| {
            header.get(at..at + 3).map_or(usize::MAX, |bytes| {
                bytes.iter().fold(0, |value, byte| value << 8 | usize::from(*byte))
            })
        };
        let message_seq = header
            .get(4..6)
            .map_or(u16::MAX, |seq| seq.iter().fold(0, |value, byte| value << 8 | u16::from(*byte)));
        let (length, offset, fragment_len) = (read_u24(1), read_u24(6), read_u24(9));
        let Some(next) = rest.get(fragment_len..) else { return false };
        let is_within = offset.saturating_add(fragment_len) <= length;
        if message_seq > MAX_MESSAGE_SEQ || length > MAX_MESSAGE_LEN || !is_within {
            return false;
        }
        body = next;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(content_type: u8, epoch: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![content_type, 0xFE, 0xFD];
        bytes.extend(epoch.to_be_bytes());
        bytes.extend([0; 6]);
        bytes.extend((body.len() as u16).to_be_bytes());
        bytes.extend(body);
        bytes
    }

    fn fragment(seq: u16, length: u32, offset: u32, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![1];
        bytes.extend(&length.to_be_bytes()[1..]);
        bytes.extend(seq.to_be_bytes());
        bytes.extend(&offset.to_be_bytes()[1..]);
        bytes.extend(&(body.len() as u32).to_be_bytes()[1..]);
        bytes.extend(body);
        bytes
    }

    #[test]
    fn handshake_fragments_pass_while_the_handshake_runs() {
        let first = record(22, 0, &fragment(0, 100, 0, &[7; 60]));
        let second = record(22, 0, &fragment(0, 100, 60, &[7; 40]));
        let both = [first.clone(), second.clone()].concat();
        for datagram in [first, second, both] {
            assert!(is_useful(&datagram, Phase::Handshake));
            assert!(is_useful(&datagram, Phase::Connected12));
            assert!(!is_useful(&datagram, Phase::Connected13));
        }
    }

    #[test]
    fn encrypted_records_always_pass() {
        for phase in [Phase::Handshake, Phase::Connected12, Phase::Connected13] {
            assert!(is_useful(&record(23, 1, &[9; 40]), phase));
            assert!(is_useful(&record(21, 1, &[9; 40]), phase));
            assert!(is_useful(&[0x2E, 1, 2, 3], phase));
        }
    }

    #[test]
    fn plaintext_alerts_and_data_never_pass() {
        for phase in [Phase::Handshake, Phase::Connected12, Phase::Connected13] {
            assert!(!is_useful(&record(21, 0, &[2, 40]), phase), "alert");
            assert!(!is_useful(&record(23, 0, b"data"), phase), "application data");
            assert!(!is_useful(&record(26, 0, &[0, 0]), phase), "acknowledgement");
            let hidden = [record(23, 1, &[9; 40]), record(21, 0, &[2, 40])].concat();
            assert!(!is_useful(&hidden, phase), "alert behind an encrypted record");
        }
    }

    #[test]
    fn implausible_fragments_do_not_pass() {
        let bodies = [
            fragment(9, 10, 0, &[0; 10]),
            fragment(0, 10, 1, &[0; 10]),
            fragment(0, 1 << 20, 0, &[0; 10]),
            fragment(0, 10, 0, &[0; 10])[..15].to_vec(),
            vec![1, 0, 0],
        ];
        for body in bodies {
            assert!(!is_useful(&record(22, 0, &body), Phase::Handshake), "{body:?}");
        }
    }

    #[test]
    fn broken_framing_does_not_pass() {
        let whole = record(22, 0, &fragment(0, 10, 0, &[0; 10]));
        for length in 0..whole.len() {
            assert!(!is_useful(&whole[..length], Phase::Handshake), "{length}");
        }
        assert!(!is_useful(&whole.repeat(9), Phase::Handshake), "too many records");
        assert!(is_useful(&whole.repeat(8), Phase::Handshake));
    }

    #[test]
    fn the_random_is_at_the_beginning_of_a_hello() {
        let body: Vec<u8> = (0..60).collect();
        let random = Some(std::array::from_fn(|at| at as u8 + 2));
        assert_eq!(client_hello_random(&record(22, 0, &fragment(0, 100, 0, &body))), random);
        assert_eq!(client_hello_random(&record(22, 0, &fragment(0, 60, 0, &body))), random);
        assert_eq!(client_hello_random(&record(22, 0, &fragment(0, 100, 40, &body))), None);
        assert_eq!(client_hello_random(&record(22, 0, &fragment(0, 100, 0, &body[..33]))), None);
        assert_eq!(client_hello_random(&record(22, 1, &fragment(0, 60, 0, &body))), None);
        assert_eq!(client_hello_random(&record(23, 0, &fragment(0, 60, 0, &body))), None);
        let mut server_hello = fragment(0, 60, 0, &body);
        server_hello[0] = 2;
        assert_eq!(client_hello_random(&record(22, 0, &server_hello)), None);
        assert_eq!(client_hello_random(&[]), None);
    }
}
