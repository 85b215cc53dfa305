use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn key(password: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes())
}

const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

/// RFC 5769 section 2.1.
const REQUEST: &str = "0001 0058 2112a442 b7e7a701 bc34d686 fa87dfae
    8022 0010 5354554e 20746573 7420636c 69656e74
    0024 0004 6e0001ff
    8029 0008 932ff9b1 51263b36
    0006 0009 6576746a 3a683676 59202020
    0008 0014 9aeaa70c bfd8cb56 781ef2b5 b2d3f249 c1b571a2
    8028 0004 e57a3bcf";

/// RFC 5769 section 2.2.
const RESPONSE_V4: &str = "0101 003c 2112a442 b7e7a701 bc34d686 fa87dfae
    8022 000b 74657374 20766563 746f7220
    0020 0008 0001a147 e112a643
    0008 0014 2b91f599 fd9e90c3 8c7489f9 2af9ba53 f06be7d7
    8028 0004 c07d4c96";

/// RFC 5769 section 2.3.
const RESPONSE_V6: &str = "0101 0048 2112a442 b7e7a701 bc34d686 fa87dfae
    8022 000b 74657374 20766563 746f7220
    0020 0014 0002a147 0113a9fa a5d3f179 bc25f4b5 bed2b9d9
    0008 0014 a382954e 4be67bf1 1784c97c 8292c275 bfe3ed41
    8028 0004 c8fb0b4c";

#[test]
fn rfc_5769_request() {
    let bytes = hex(REQUEST);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.class, Class::Request);
    assert!(message.is_binding && message.has_valid_fingerprint && message.is_controlled);
    assert_eq!(message.username, Some(&b"evtj:h6vY"[..]));
    assert_eq!(message.local_username_fragment(), Some(&b"evtj"[..]));
    assert_eq!(message.priority, Some(0x6E00_01FF));
    assert!(!message.use_candidate);
    assert_eq!(message.nomination, None);
    assert!(message.unknown_attributes().is_empty());
    assert!(message.verify_integrity(&key(PASSWORD)));
    assert!(!message.verify_integrity(&key("VOkJxbRl1RmTxUk/WvJxBT")));
    assert_eq!(local_username_fragment(&bytes), Some("evtj"));
}

#[test]
fn rfc_5769_responses() {
    for text in [RESPONSE_V4, RESPONSE_V6] {
        let bytes = hex(text);
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.class, Class::Success);
        assert!(message.is_binding && message.has_valid_fingerprint);
        assert!(message.verify_integrity(&key(PASSWORD)));
        assert_eq!(local_username_fragment(&bytes), None);
    }
}

/// The addresses of the reference answers, in an answer of ours to the reference request.
#[test]
fn answers_carry_the_reference_addresses() {
    let request = hex(REQUEST);
    let request = Message::parse(&request).unwrap();
    let cases = [
        ("192.0.2.1:32853", &hex(RESPONSE_V4)[36..48]),
        ("[2001:db8:1234:5678:11:2233:4455:6677]:32853", &hex(RESPONSE_V6)[36..60]),
    ];
    for (address, attribute) in cases {
        let mut out = b"before".to_vec();
        write_success(&request, address.parse().unwrap(), &key(PASSWORD), &mut out);
        let answer = &out[6..];
        assert_eq!(&answer[20..20 + attribute.len()], attribute);
        assert_eq!(&answer[8..20], request.transaction_id());
        let read = Message::parse(answer).unwrap();
        assert_eq!(read.class, Class::Success);
        assert!(read.has_valid_fingerprint && read.verify_integrity(&key(PASSWORD)));
    }
}

#[test]
fn mapped_addresses_are_written_as_ipv4() {
    let request = hex(REQUEST);
    let request = Message::parse(&request).unwrap();
    let (mut plain, mut mapped) = (Vec::new(), Vec::new());
    write_success(&request, "192.0.2.1:32853".parse().unwrap(), &key(PASSWORD), &mut plain);
    write_success(&request, "[::ffff:192.0.2.1]:32853".parse().unwrap(), &key(PASSWORD), &mut mapped);
    assert_eq!(plain, mapped);
}

#[test]
fn every_damaged_byte_is_noticed() {
    let bytes = hex(REQUEST);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            let is_right = Message::parse(&damaged).is_some_and(|message| message.has_valid_fingerprint);
            assert!(!is_right, "byte {at} bit {bit}");
        }
    }
}

#[test]
fn every_truncation_is_refused() {
    let bytes = hex(REQUEST);
    for length in 0..bytes.len() {
        assert!(Message::parse(&bytes[..length]).is_none(), "{length}");
        // Also when the header tells the truth about it.
        let mut shorter = bytes[..length].to_vec();
        if length >= 20 {
            shorter[2..4].copy_from_slice(&(length as u16 - 20).to_be_bytes());
            assert!(
                !Message::parse(&shorter).is_some_and(|message| message.has_valid_fingerprint),
                "{length}"
            );
        }
    }
    assert!(Message::parse(&[bytes, vec![0; 4]].concat()).is_none());
}

/// A request with attributes of any kind, signed and closed with FINGERPRINT.
fn request(attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let empty = hex("0001 0000 2112a442 000102030405060708090a0b");
    let template = Message::parse(&empty).unwrap();
    let mut out = Vec::new();
    let start = write_header(METHOD_BINDING, &template, &mut out);
    for (kind, value) in attributes {
        write_attribute_header(*kind, value.len(), &mut out);
        out.extend_from_slice(value);
        pad(start, &mut out);
    }
    finish(start, Some(&key(PASSWORD)), &mut out);
    out
}

#[test]
fn unknown_attributes_are_listed() {
    let bytes = request(&[(0x7777, b"abc"), (USERNAME, b"a:b"), (0x0030, b""), (0x9999, b"optional")]);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.unknown_attributes(), [0x7777, 0x0030]);
    let mut out = Vec::new();
    write_error(&message, ErrorCode::UnknownAttribute, Some(&key(PASSWORD)), &mut out);
    let answer = Message::parse(&out).unwrap();
    assert_eq!(answer.class, Class::Error);
    assert!(answer.has_valid_fingerprint && answer.verify_integrity(&key(PASSWORD)));
    let list = hex("000a 0004 7777 0030");
    assert!(out.windows(list.len()).any(|window| window == list), "{out:02x?}");

    let many: Vec<(u16, &[u8])> = (0x100..0x140).map(|kind| (kind, &b""[..])).collect();
    let bytes = request(&many);
    assert_eq!(Message::parse(&bytes).unwrap().unknown_attributes().len(), MAX_UNKNOWN);
}

#[test]
fn attributes_behind_integrity_do_not_count() {
    let mut bytes = request(&[(USERNAME, b"a:b"), (PRIORITY, &[0; 4])]);
    bytes.truncate(bytes.len() - 8);
    for (kind, value) in [(USE_CANDIDATE, &b""[..]), (USERNAME, b"c:d"), (0x7777, b"")] {
        write_attribute_header(kind, value.len(), &mut bytes);
        bytes.extend_from_slice(value);
        pad(0, &mut bytes);
    }
    finish(0, None, &mut bytes);
    let message = Message::parse(&bytes).unwrap();
    assert!(message.has_valid_fingerprint);
    assert!(!message.use_candidate);
    assert!(message.unknown_attributes().is_empty());
    assert_eq!(message.username, Some(&b"a:b"[..]));
}

#[test]
fn the_first_of_equal_attributes_counts() {
    let bytes = request(&[
        (USERNAME, b"a:b"),
        (USERNAME, b"c:d"),
        (NOMINATION, &[0, 0, 0, 7]),
        (NOMINATION, &[0, 0, 0, 9]),
    ]);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.username, Some(&b"a:b"[..]));
    assert_eq!(message.nomination, Some(7));
}

#[test]
fn attributes_of_wrong_length_are_malformed() {
    for (kind, value) in [(PRIORITY, &[0; 3][..]), (NOMINATION, &[0; 5]), (MESSAGE_INTEGRITY, &[0; 19])] {
        assert!(Message::parse(&request(&[(kind, value)])).is_none(), "{kind:#x}");
    }
}

#[test]
fn error_answers_say_what_the_crate_of_str0m_reads() {
    let bytes = hex(REQUEST);
    let message = Message::parse(&bytes).unwrap();
    let codes = [
        (ErrorCode::BadRequest, 400),
        (ErrorCode::Unauthenticated, 401),
        (ErrorCode::UnknownAttribute, 420),
        (ErrorCode::RoleConflict, 487),
    ];
    for (code, number) in codes {
        assert_eq!(code.number(), number);
        let mut out = Vec::new();
        write_error(&message, code, None, &mut out);
        let read = is::stun::StunMessage::parse(&out).unwrap();
        assert!(read.is_failed_binding_response());
        assert_eq!(read.error_code().map(|(number, _)| number), Some(number));
    }
}
