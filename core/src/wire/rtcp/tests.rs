use super::*;
use crate::wire::ntp::NtpTime;

mod transport_feedback;

const BLOCK: ReportBlock = ReportBlock {
    ssrc: 0x0000_0002,
    fraction_lost: 128,
    cumulative_lost: -3,
    extended_highest_sequence_number: 0x0001_FFFE,
    jitter: 77,
    last_sr: 0xB705_2000,
    delay_since_last_sr: 0x0005_4000,
};

const INFO: SenderInfo = SenderInfo {
    ntp_time: NtpTime(0xB44D_B705_2000_0000),
    rtp_timestamp: 1,
    packet_count: 2,
    octet_count: u32::MAX,
};

fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    assert_eq!(out.len() % 4, 0);
    out
}

fn only(bytes: &[u8]) -> RtcpView<'_> {
    let mut views = packets(bytes);
    let view = views.next().expect("one packet");
    assert!(views.next().is_none());
    view
}

#[test]
fn sender_report_bytes_and_view() {
    let bytes = written(|out| write_sender_report(out, 0x0102_0304, &INFO, &[BLOCK]));
    assert_eq!(bytes[..4], [0x81, 200, 0, 12]);
    assert_eq!(bytes[8..16], [0xB4, 0x4D, 0xB7, 0x05, 0x20, 0, 0, 0]);
    assert_eq!(bytes[32..36], [128, 0xFF, 0xFF, 0xFD], "cumulative lost is signed");
    let RtcpView::SenderReport(view) = only(&bytes) else { panic!() };
    assert_eq!((view.ssrc, view.info), (0x0102_0304, INFO));
    assert!(view.report_blocks().eq([BLOCK]));
}

#[test]
fn cumulative_lost_is_cut_to_24_bits() {
    for (lost, read) in [(i32::MAX, 0x7F_FFFF), (i32::MIN, -0x80_0000), (5, 5)] {
        let block = ReportBlock { cumulative_lost: lost, ..BLOCK };
        let bytes = written(|out| write_receiver_report(out, 1, &[block]));
        let RtcpView::ReceiverReport(view) = only(&bytes) else { panic!() };
        assert_eq!(view.report_blocks().next().unwrap(), ReportBlock { cumulative_lost: read, ..BLOCK });
    }
}

#[test]
fn receiver_reports_split_after_31_blocks() {
    for (blocks, counts) in [(0, vec![0]), (31, vec![31]), (32, vec![31, 1]), (63, vec![31, 31, 1])] {
        let bytes = written(|out| write_receiver_report(out, 9, &vec![BLOCK; blocks]));
        let found: Vec<_> = packets(&bytes)
            .map(|view| match view {
                RtcpView::ReceiverReport(report) => {
                    assert_eq!(report.sender_ssrc, 9);
                    report.report_blocks().count()
                }
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(found, counts);
    }
    let bytes = written(|out| write_sender_report(out, 9, &INFO, &[BLOCK; 40]));
    let RtcpView::SenderReport(view) = only(&bytes) else { panic!() };
    assert_eq!(view.report_blocks().count(), 31);
}

#[test]
fn cname_is_terminated_and_padded() {
    for len in [0, 1, 2, 3, 4, 5, 255, 300] {
        let name = vec![b'n'; len];
        let bytes = written(|out| write_cname(out, 7, &name));
        let RtcpView::SourceDescription(view) = only(&bytes) else { panic!() };
        let chunks: Vec<_> = view.chunks().collect();
        assert_eq!(chunks.len(), 1);
        assert_eq!(chunks[0].ssrc, 7);
        assert!(chunks[0].items().eq([SdesItem::Cname(&name[..len.min(255)])]));
    }
}

#[test]
fn sdes_items_and_chunks() {
    let bytes = [
        0x82, 202, 0, 7, // two chunks
        0, 0, 0, 1, 2, 1, b'x', 15, 2, b'v', b'0', 0, // NAME skipped, MID
        0, 0, 0, 2, 1, 1, b'c', 12, 1, b'h', 0, 0, 0, 0, 0, 0, // CNAME, RID, and superfluous zeros
    ];
    let RtcpView::SourceDescription(view) = only(&bytes) else { panic!() };
    let chunks: Vec<_> = view.chunks().collect();
    assert_eq!(chunks.iter().map(|chunk| chunk.ssrc).collect::<Vec<_>>(), [1, 2]);
    assert!(chunks[0].items().eq([SdesItem::Mid(b"v0")]));
    assert!(chunks[1].items().eq([SdesItem::Cname(b"c"), SdesItem::RtpStreamId(b"h")]));
}

#[test]
fn sdes_without_end_is_not_a_chunk() {
    let bytes = [0x81, 202, 0, 2, 0, 0, 0, 1, 1, 2, b'a', b'b'];
    let RtcpView::SourceDescription(view) = only(&bytes) else { panic!() };
    assert_eq!(view.chunks().count(), 0);
}

#[test]
fn bye() {
    let bytes = written(|out| write_bye(out, &[1, 2]));
    assert_eq!(bytes, [0x82, 203, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]);
    let RtcpView::Bye(view) = only(&bytes) else { panic!() };
    assert!(view.ssrcs().eq([1, 2]));
    // With a reason behind.
    let bytes = [0x81, 203, 0, 2, 0, 0, 0, 1, 2, b'o', b'k', 0];
    let RtcpView::Bye(view) = only(&bytes) else { panic!() };
    assert!(view.ssrcs().eq([1]));
}

#[test]
fn nack_packs_and_unpacks() {
    let bytes = written(|out| write_nack(out, 1, 2, &[65534, 65535, 0, 14, 15, 31, 32]));
    // 65534 with bits for 65535 (1), 0 (2) and 14 (16); 15 with 31 (16); 32.
    assert_eq!(bytes[12..16], [0xFF, 0xFE, 0x80, 0x03]);
    assert_eq!(bytes[16..], [0x00, 0x0F, 0x80, 0x00, 0x00, 0x20, 0x00, 0x00]);
    let RtcpView::Nack(view) = only(&bytes) else { panic!() };
    assert_eq!((view.sender_ssrc, view.media_ssrc), (1, 2));
    assert_eq!(view.sequence_numbers().collect::<Vec<_>>(), [65534, 65535, 0, 14, 15, 31, 32]);
    assert!(written(|out| write_nack(out, 1, 2, &[])).is_empty());
}

#[test]
fn nack_of_all_bits_asks_for_17() {
    let bytes = [0x81, 205, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 100, 0xFF, 0xFF];
    let RtcpView::Nack(view) = only(&bytes) else { panic!() };
    assert!(view.sequence_numbers().eq(100..=116));
}

#[test]
fn keyframe_requests() {
    let pli = Pli { sender_ssrc: 1, media_ssrc: 2 };
    let bytes = written(|out| write_pli(out, pli));
    assert_eq!(bytes, [0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]);
    assert!(matches!(only(&bytes), RtcpView::Pli(found) if found == pli));

    let entries = [FirEntry { ssrc: 5, sequence_number: 255 }, FirEntry { ssrc: 6, sequence_number: 0 }];
    let bytes = written(|out| write_fir(out, 1, &entries));
    assert_eq!(bytes[..4], [0x84, 206, 0, 6]);
    let RtcpView::Fir(view) = only(&bytes) else { panic!() };
    assert_eq!(view.sender_ssrc, 1);
    assert!(view.entries().eq(entries));
}

#[test]
fn remb_rounds_down_to_18_bits() {
    for (bitrate, read) in [
        (0, 0),
        (0x3_FFFF, 0x3_FFFF),
        (0x4_0001, 0x4_0000),
        (1_000_000, 1_000_000),
        (u64::MAX, 0x3_FFFF << 46),
    ] {
        let bytes = written(|out| write_remb(out, 1, bitrate, &[7, 8]));
        let RtcpView::Remb(view) = only(&bytes) else { panic!() };
        assert_eq!((view.sender_ssrc, view.bitrate_bps), (1, read));
        assert!(view.ssrcs().eq([7, 8]));
    }
}

#[test]
fn remb_bytes_and_saturation() {
    let mut bytes = written(|out| write_remb(out, 1, 1_000_000, &[7]));
    // 1,000,000 = 250,000 × 2².
    assert_eq!(
        bytes,
        [0x8F, 206, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 1, 0x0B, 0xD0, 0x90, 0, 0, 0, 7]
    );
    for (first, rest, read) in [(0xFF, 0xFF, u64::MAX), (0xFC, 0, 0), (0xFC, 1, 1 << 63), (0xFC, 2, u64::MAX)]
    {
        bytes[17] = first;
        bytes[18] = if rest == 0xFF { 0xFF } else { 0 };
        bytes[19] = rest;
        let RtcpView::Remb(view) = only(&bytes) else { panic!() };
        assert_eq!(view.bitrate_bps, read);
    }
    bytes[12] = b'X';
    assert!(packets(&bytes).next().is_none(), "another application's message is skipped");
}

#[test]
fn extended_reports() {
    let bytes = written(|out| write_rrtr(out, 3, NtpTime(0x1122_3344_5566_7788)));
    assert_eq!(bytes[..12], [0x80, 207, 0, 4, 0, 0, 0, 3, 4, 0, 0, 2]);
    let RtcpView::ExtendedReport(view) = only(&bytes) else { panic!() };
    assert_eq!(view.sender_ssrc, 3);
    assert!(matches!(
        view.blocks().next(),
        Some(XrBlock::ReceiverReferenceTime(NtpTime(0x1122_3344_5566_7788)))
    ));

    let dlrrs = [
        Dlrr { ssrc: 1, last_rr: 2, delay_since_last_rr: 3 },
        Dlrr { ssrc: 4, last_rr: 5, delay_since_last_rr: 6 },
    ];
    let bytes = written(|out| write_dlrr(out, 3, &dlrrs));
    assert_eq!(bytes[8..12], [5, 0, 0, 6]);
    let RtcpView::ExtendedReport(view) = only(&bytes) else { panic!() };
    let Some(XrBlock::Dlrr(found)) = view.blocks().next() else { panic!() };
    assert!(found.iter().eq(dlrrs));
    assert_eq!(view.blocks().count(), 1);
}

#[test]
fn unknown_xr_blocks_are_skipped() {
    let bytes = [0x80, 207, 0, 6, 0, 0, 0, 3, 42, 9, 0, 1, 1, 2, 3, 4, 4, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];
    let RtcpView::ExtendedReport(view) = only(&bytes) else { panic!() };
    let found: Vec<_> = view.blocks().collect();
    assert!(matches!(found[..], [XrBlock::ReceiverReferenceTime(NtpTime(0x1_0000_0002))]));
}

#[test]
fn compound_with_unknown_and_malformed_packets_between() {
    let bytes = written(|out| {
        write_receiver_report(out, 1, &[]);
        out.extend_from_slice(&[0x80, 204, 0, 2, 0, 0, 0, 1, b'n', b'a', b'm', b'e']); // APP
        out.extend_from_slice(&[0x83, 205, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]); // unknown feedback format
        out.extend_from_slice(&[0x81, 201, 0, 1, 0, 0, 0, 1]); // RR without the block it promises
        out.extend_from_slice(&[0x81, 206, 0, 0]); // PLI without SSRCs
        write_pli(out, Pli { sender_ssrc: 1, media_ssrc: 2 });
    });
    let views: Vec<_> = packets(&bytes).collect();
    assert!(matches!(views[..], [RtcpView::ReceiverReport(_), RtcpView::Pli(_)]));
}

#[test]
fn malformed_tail_stops() {
    let whole = written(|out| {
        write_pli(out, Pli { sender_ssrc: 1, media_ssrc: 2 });
        write_bye(out, &[1]);
    });
    for len in 0..=whole.len() {
        let expected = usize::from(len >= 12) + usize::from(len >= 20);
        assert_eq!(packets(&whole[..len]).count(), expected, "cut to {len}");
    }
    let mut wrong_version = whole.clone();
    wrong_version[0] = 0x41;
    assert_eq!(packets(&wrong_version).count(), 0);
}

#[test]
fn padding_is_taken_off() {
    let mut bytes = written(|out| write_nack(out, 1, 2, &[9]));
    bytes.extend_from_slice(&[0, 0, 0, 4]);
    bytes[0] |= 0x20;
    bytes[3] += 1;
    let RtcpView::Nack(view) = only(&bytes) else { panic!() };
    assert!(view.sequence_numbers().eq([9]));
    for wrong in [0, 200] {
        *bytes.last_mut().unwrap() = wrong;
        assert_eq!(packets(&bytes).count(), 0, "padding length {wrong}");
    }
}
