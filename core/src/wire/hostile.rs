//! Every parser of this module against cut and mutated bytes: no panic, the same answer twice, and bounded work.

use super::codec::{self, Codec, dependency_descriptor::DependencyDescriptor};
use super::{demux, ext, framing, rtcp, rtp};
use crate::rng::Rng;

/// Reads everything that can be read and returns it as text, so that two readings can be compared.
fn read_all(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut seen = String::new();
    let mut note = |value: &dyn std::fmt::Debug| write!(seen, "{value:?};").unwrap();
    note(&demux::classify(bytes));
    note(&rtp::header_len(bytes));
    for codec in [Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1] {
        note(&codec::is_keyframe(codec, bytes));
    }
    note(&(codec::vp8::Vp8Descriptor::parse(bytes), codec::vp9::Vp9Descriptor::parse(bytes)));
    note(&codec::av1::elements(bytes).collect::<Vec<_>>());
    if let Some(descriptor) = DependencyDescriptor::parse(bytes, None) {
        note(&descriptor);
        note(&DependencyDescriptor::parse(bytes, descriptor.structure.as_deref()));
    }
    let (mut deframer, mut stream) = (framing::Deframer::new(100), bytes);
    while let Ok(Some(frame)) = deframer.read(&mut stream) {
        note(&frame);
    }
    if let Some(view) = rtp::RtpView::parse(bytes) {
        assert_eq!(rtp::header_len(bytes), Some(view.header_len()));
        assert_eq!(view.header_len() + view.payload().len() + view.padding_len(), bytes.len());
        note(&(view.payload(), view.csrcs().collect::<Vec<_>>(), view.extension_profile()));
        for (id, value) in view.extensions() {
            note(&(id, value));
            note(&(ext::Mid::parse(value), ext::Rid::parse(value), ext::AbsCaptureTime::parse(value)));
            note(&(ext::PlayoutDelay::parse(value), ext::TransmissionOffset::parse(value)));
            note(&(ext::AudioLevel::parse(value), ext::VideoOrientation::parse(value)));
            note(&(ext::AbsSendTime::parse(value), ext::TransportSequenceNumber::parse(value)));
        }
    }
    for view in rtcp::packets(bytes) {
        use rtcp::RtcpView::*;
        match view {
            SenderReport(view) => note(&(view, view.report_blocks().collect::<Vec<_>>())),
            ReceiverReport(view) => note(&(view, view.report_blocks().collect::<Vec<_>>())),
            SourceDescription(view) => {
                view.chunks().for_each(|chunk| note(&(chunk.ssrc, chunk.items().collect::<Vec<_>>())));
            }
            Bye(view) => note(&view.ssrcs().collect::<Vec<_>>()),
            Nack(view) => note(&view.sequence_numbers().collect::<Vec<_>>()),
            TransportFeedback(view) => {
                let found: Vec<_> = view.packets().collect();
                assert_eq!(found.len(), usize::from(view.packet_status_count));
                note(&found);
            }
            Pli(view) => note(&view),
            Fir(view) => note(&view.entries().collect::<Vec<_>>()),
            Remb(view) => note(&(view.bitrate_bps, view.ssrcs().collect::<Vec<_>>())),
            ExtendedReport(view) => view.blocks().for_each(|block| match block {
                rtcp::XrBlock::Dlrr(dlrrs) => note(&dlrrs.iter().collect::<Vec<_>>()),
                other => note(&other),
            }),
        }
    }
    seen
}

fn seeds() -> Vec<Vec<u8>> {
    let mut rtp_one_byte = Vec::new();
    rtp::RtpHeader::default().write_with_csrcs([1, 2, 3], &mut rtp_one_byte);
    rtp::write_extensions(&mut rtp_one_byte, 0, &[(1, b"mid"), (2, &[1, 2, 3]), (4, &[9]), (5, &[7; 16])]);
    rtp_one_byte.extend_from_slice(&[5; 20]);
    rtp::append_padding(&mut rtp_one_byte, 0, 9);
    let mut rtp_two_byte = Vec::new();
    rtp::RtpHeader::default().write(&mut rtp_two_byte);
    rtp::write_extensions(&mut rtp_two_byte, 0, &[(20, b"rid"), (2, &[]), (4, &[8; 40])]);

    let mut compound = Vec::new();
    let info = rtcp::SenderInfo {
        ntp_time: super::ntp::NtpTime(1),
        rtp_timestamp: 2,
        packet_count: 3,
        octet_count: 4,
    };
    rtcp::write_sender_report(&mut compound, 1, &info, &[Default::default(); 2]);
    rtcp::write_cname(&mut compound, 1, b"a name");
    rtcp::write_nack(&mut compound, 1, 2, &[1, 2, 5, 40]);
    rtcp::write_remb(&mut compound, 1, 300_000, &[1, 2]);
    rtcp::write_rrtr(&mut compound, 1, super::ntp::NtpTime(7));
    let dlrr = rtcp::Dlrr { ssrc: 1, last_rr: 2, delay_since_last_rr: 3 };
    rtcp::write_dlrr(&mut compound, 1, &[dlrr; 2]);
    rtcp::write_fir(&mut compound, 1, &[rtcp::FirEntry { ssrc: 2, sequence_number: 3 }]);
    rtcp::write_bye(&mut compound, &[1, 2]);

    let mut feedback = Vec::new();
    let header = rtcp::TransportFeedbackHeader {
        sender_ssrc: 1,
        media_ssrc: 2,
        base_sequence_number: 65_000,
        reference_time_64ms: 4,
        feedback_packet_count: 5,
    };
    let deltas: Vec<_> = (0..40).map(|i| (i % 5 != 0).then_some(i * 20 - 100)).collect();
    rtcp::write_transport_feedback(&mut feedback, &header, &deltas, 1200);
    let vp8 = vec![0xB0, 0xF0, 0x80, 0x7F, 200, 0xBF, 0x01, 1, 2, 3];
    let vp9 = vec![0xAE, 0x81, 2, 0x50, 77, 0x38, 1, 64, 0, 180, 2, 128, 1, 104, 2, 0, 0x38, 1, 2, 0xAA];
    let h264 = vec![0x78, 0, 2, 0x67, 0x42, 0, 1, 0x68, 0, 3, 0x65, 1, 2];
    let av1 = vec![0x08, 2, 0x10, 0, 0x82, 0x00, 0x08, 1, 3, 0x30, 9, 9];
    // A dependency descriptor with a structure of two temporal layers, a chain and a resolution, and everything custom.
    let descriptor = vec![
        0xC3, 0x00, 0x05, 0xF8, 0x61, 0x1E, 0xBC, 0x51, 0x41, 0x01, 0x0C, 0x09, 0xFC, 0x05, 0x9D, 0xF4, 0x00,
        0x10,
    ];
    vec![rtp_one_byte, rtp_two_byte, compound, feedback, vp8, vp9, h264, av1, descriptor]
}

#[test]
fn the_descriptor_is_a_good_one() {
    assert!(
        seeds()
            .iter()
            .any(|seed| DependencyDescriptor::parse(seed, None).is_some_and(|d| d.structure.is_some()))
    );
}

#[test]
fn cut_at_every_length() {
    for seed in seeds() {
        for len in 0..=seed.len() {
            assert_eq!(read_all(&seed[..len]), read_all(&seed[..len]));
        }
    }
}

#[test]
fn mutated() {
    let mut rng = Rng::from_seed([1; 32]);
    for seed in seeds() {
        for _ in 0..1500 {
            let mut bytes = seed.clone();
            for _ in 0..rng.next_u32() % 6 + 1 {
                let at = rng.next_u32() as usize % bytes.len();
                bytes[at] = rng.next_u32() as u8;
            }
            bytes.truncate(bytes.len() - rng.next_u32() as usize % 4);
            assert_eq!(read_all(&bytes), read_all(&bytes));
        }
    }
}

#[test]
fn random() {
    let mut rng = Rng::from_seed([2; 32]);
    for _ in 0..5000 {
        let mut bytes = vec![0; rng.next_u32() as usize % 100];
        rng.fill(&mut bytes);
        if let [first, second, ..] = &mut bytes[..] {
            *first = 0x80 | *first & 0x3F;
            *second = if *second & 1 == 0 { *second } else { 200 + *second % 8 };
        }
        assert_eq!(read_all(&bytes), read_all(&bytes));
    }
}
