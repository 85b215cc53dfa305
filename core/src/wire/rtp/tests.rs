use super::*;

const HEADER: RtpHeader = RtpHeader {
    marker: true,
    payload_type: 96,
    sequence_number: 0xABCD,
    timestamp: 0x0102_0304,
    ssrc: 0xDEAD_BEEF,
};

fn packet_with(extensions: &[(u8, &[u8])], payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    HEADER.write(&mut out);
    write_extensions(&mut out, 0, extensions);
    out.extend_from_slice(payload);
    out
}

#[test]
fn fixed_header() {
    let bytes = packet_with(&[], b"payload");
    assert_eq!(&bytes[..12], [0x80, 0xE0, 0xAB, 0xCD, 1, 2, 3, 4, 0xDE, 0xAD, 0xBE, 0xEF]);
    let view = RtpView::parse(&bytes).unwrap();
    assert!(view.marker());
    assert_eq!(view.payload_type(), 96);
    assert_eq!(view.sequence_number(), 0xABCD);
    assert_eq!(view.timestamp(), 0x0102_0304);
    assert_eq!(view.ssrc(), 0xDEAD_BEEF);
    assert_eq!(view.csrcs().len(), 0);
    assert_eq!(view.header_len(), 12);
    assert_eq!(view.payload(), b"payload");
    assert_eq!(view.extension_profile(), None);
    assert_eq!(view.extensions().count(), 0);
}

#[test]
fn csrcs_are_read_and_cut_to_15() {
    let mut bytes = Vec::new();
    HEADER.write_with_csrcs(1..=20, &mut bytes);
    write_extensions(&mut bytes, 0, &[(3, &[9])]);
    bytes.push(42);
    assert_eq!(bytes[0], 0x9F);
    let view = RtpView::parse(&bytes).unwrap();
    assert!(view.csrcs().eq(1..=15));
    assert_eq!(view.extension(3), Some(&[9][..]));
    assert_eq!(view.payload(), [42]);
}

#[test]
fn one_byte_example_of_rfc_8285() {
    // Section 4.2: three elements of 1, 3 and 4 bytes with padding between them.
    let block = [0x10, 0xA1, 0x22, 1, 2, 3, 0, 0, 0x33, 4, 5, 6, 7, 0, 0, 0];
    let mut bytes = Vec::new();
    HEADER.write(&mut bytes);
    bytes[0] |= 0x10;
    bytes.extend_from_slice(&[0xBE, 0xDE, 0, 4]);
    bytes.extend_from_slice(&block);
    let view = RtpView::parse(&bytes).unwrap();
    assert_eq!(view.extension_profile(), Some(ONE_BYTE_PROFILE));
    assert_eq!(view.extension_block(), block);
    let found: Vec<_> = view.extensions().collect();
    assert_eq!(found, [(1, &[0xA1][..]), (2, &[1, 2, 3]), (3, &[4, 5, 6, 7])]);
    assert_eq!(view.payload(), b"");
}

#[test]
fn two_byte_example_of_rfc_8285() {
    // Section 4.3: an empty element, one of 1 byte, padding, and one of 4 bytes.
    let block = [1, 0, 2, 1, 0xA2, 0, 3, 4, 4, 5, 6, 7];
    for profile_low in [0x00, 0x0F] {
        let mut bytes = Vec::new();
        HEADER.write(&mut bytes);
        bytes[0] |= 0x10;
        bytes.extend_from_slice(&[0x10, profile_low, 0, 3]);
        bytes.extend_from_slice(&block);
        let found: Vec<_> = RtpView::parse(&bytes).unwrap().extensions().collect();
        assert_eq!(found, [(1, &[][..]), (2, &[0xA2]), (3, &[4, 5, 6, 7])]);
    }
}

#[test]
fn reserved_ids_end_the_one_byte_block() {
    for stop in [0xF0, 0xF1, 0x01] {
        let block = [0x10, 7, stop, 0x20, 0x20, 8, 0, 0];
        let extensions: Vec<_> = Extensions::new(Some(ONE_BYTE_PROFILE), &block).collect();
        assert_eq!(extensions, [(1, &[7][..])], "{stop:#x}");
    }
    // Id 15 is an ordinary one in the two-byte form.
    let extensions: Vec<_> = Extensions::new(Some(TWO_BYTE_PROFILE), &[15, 1, 9, 0]).collect();
    assert_eq!(extensions, [(15, &[9][..])]);
}

#[test]
fn elements_that_reach_past_the_block_are_not_seen() {
    assert_eq!(Extensions::new(Some(ONE_BYTE_PROFILE), &[0x10, 7, 0x23, 1]).count(), 1);
    assert_eq!(Extensions::new(Some(TWO_BYTE_PROFILE), &[1, 1, 7, 2]).count(), 1);
    assert_eq!(Extensions::new(Some(TWO_BYTE_PROFILE), &[1, 3, 7, 2]).count(), 0);
    assert_eq!(Extensions::new(Some(0x1010), &[1, 1, 7, 2]).count(), 0);
}

#[test]
fn writer_chooses_the_form() {
    let one_byte = packet_with(&[(1, b"a"), (14, &[7; 16])], b"x");
    assert_eq!(one_byte[12..16], [0xBE, 0xDE, 0, 5]);
    for wide in [(15, &b"a"[..]), (1, &[]), (1, &[7; 17])] {
        let bytes = packet_with(&[(2, b"b"), wide], b"x");
        assert_eq!(bytes[12..14], [0x10, 0x00]);
        let view = RtpView::parse(&bytes).unwrap();
        assert!(view.extensions().eq([(2, &b"b"[..]), wide]));
        assert_eq!(view.payload(), b"x");
    }
}

#[test]
fn writer_leaves_out_what_the_form_cannot_carry() {
    let mut bytes = Vec::new();
    HEADER.write(&mut bytes);
    let mut writer = HeaderExtensionWriter::begin(&mut bytes, 0, false);
    assert!(
        !writer.push(15, b"a") && !writer.push(0, b"a") && !writer.push(1, b"") && !writer.push(1, &[0; 17])
    );
    writer.finish();
    assert_eq!(bytes.len(), 12, "nothing pushed leaves no block");
    assert_eq!(bytes[0], 0x80);

    let mut writer = HeaderExtensionWriter::begin(&mut bytes, 0, true);
    assert!(!writer.push(0, b"a") && !writer.push(1, &[0; 256]));
    assert!(writer.push(255, &[1; 255]));
    writer.finish();
    assert_eq!(RtpView::parse(&bytes).unwrap().extension(255), Some(&[1; 255][..]));
}

#[test]
fn writer_works_behind_other_packets() {
    let mut out = packet_with(&[(1, b"first")], b"payload");
    let first_len = out.len();
    HEADER.write(&mut out);
    write_extensions(&mut out, first_len, &[(2, b"second")]);
    append_padding(&mut out, first_len, 0);
    append_padding(&mut out, first_len, 255);
    let first = RtpView::parse(&out[..first_len]).unwrap();
    let second = RtpView::parse(&out[first_len..]).unwrap();
    assert_eq!(first.extension(1), Some(&b"first"[..]));
    assert_eq!(first.padding_len(), 0);
    assert_eq!(second.extension(2), Some(&b"second"[..]));
    assert_eq!((second.padding_len(), second.payload().len()), (255, 0));
}

#[test]
fn padding_has_to_fit() {
    let mut bytes = packet_with(&[], &[1, 2, 3]);
    bytes[0] |= 0x20;
    for (last, payload) in [(0, None), (1, Some(&[1, 2][..])), (3, Some(&[])), (4, None), (255, None)] {
        *bytes.last_mut().unwrap() = last;
        assert_eq!(RtpView::parse(&bytes).map(|view| view.payload()), payload);
    }
    // A padding bit and nothing behind the header.
    assert!(RtpView::parse(&bytes[..12]).is_none());
}

#[test]
fn versions_other_than_2_are_refused() {
    let mut bytes = packet_with(&[], b"x");
    for version in [0, 1, 3] {
        bytes[0] = version << 6;
        assert!(RtpView::parse(&bytes).is_none());
        assert_eq!(header_len(&bytes), None);
    }
}

#[test]
fn header_len_agrees_and_needs_only_the_header() {
    let mut bytes = Vec::new();
    HEADER.write_with_csrcs([1, 2], &mut bytes);
    write_extensions(&mut bytes, 0, &[(1, &[1; 5])]);
    let expected = bytes.len();
    bytes.extend_from_slice(&[0; 30]);
    assert_eq!(RtpView::parse(&bytes).unwrap().header_len(), expected);
    for len in 0..bytes.len() {
        let found = header_len(&bytes[..len]);
        assert_eq!(found, (len >= expected).then_some(expected), "cut to {len}");
        assert_eq!(RtpView::parse(&bytes[..len]).is_some(), len >= expected, "cut to {len}");
    }
}

#[test]
fn extension_length_is_checked() {
    let mut bytes = packet_with(&[(1, b"abc")], b"");
    bytes[14..16].copy_from_slice(&0xFFFF_u16.to_be_bytes());
    assert!(RtpView::parse(&bytes).is_none());
}
