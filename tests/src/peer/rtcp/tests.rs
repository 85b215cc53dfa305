use sansfu::wire::rtcp as core;

use super::*;

fn samples() -> Vec<Rtcp> {
    let block = ReportBlock {
        ssrc: 7,
        fraction_lost: 12,
        cumulative_lost: -3,
        highest_sequence: 0x0001_0005,
        jitter: 99,
        last_sr: 0xAABB_CCDD,
        delay_since_last_sr: 65_536,
    };
    let info =
        SenderInfo { ntp_time: 0xE000_0000_8000_0000, rtp_timestamp: 5, packet_count: 6, octet_count: 7 };
    let arrivals = [0, 300, -20, 40].map(|step| Arrival::AtTick(100_000 + step));
    let mut many = arrivals.to_vec();
    many.extend([Arrival::Lost; 30]);
    many.extend((0..20).map(|i| Arrival::AtTick(101_000 + i)));
    vec![
        Rtcp::SenderReport(1, info, vec![block]),
        Rtcp::ReceiverReport(2, vec![block, ReportBlock::default()]),
        Rtcp::SourceDescription(vec![(1, "name".into()), (2, "another one".into())]),
        Rtcp::Bye(vec![1, 2]),
        Rtcp::Nack { sender_ssrc: 1, media_ssrc: 2, lost: vec![65_530, 65_535, 0, 10, 400] },
        Rtcp::Pli { sender_ssrc: 1, media_ssrc: 2 },
        Rtcp::Fir(1, vec![(2, 3), (4, 5)]),
        Rtcp::Remb { sender_ssrc: 1, bitrate_bps: 0x3_FFFF << 3, ssrcs: vec![2, 3] },
        Rtcp::TransportFeedback(TransportFeedback {
            sender_ssrc: 1,
            media_ssrc: 2,
            feedback_count: 200,
            base: 65_534,
            arrivals: many,
        }),
    ]
}

#[test]
fn what_is_written_is_read() {
    let bytes = write(&samples());
    assert!(is_rtcp(&bytes));
    assert_eq!(parse(&bytes), Ok(samples()));
    for sample in samples() {
        let bytes = write(std::slice::from_ref(&sample));
        assert_eq!(parse(&bytes), Ok(vec![sample]));
        for cut in 1..bytes.len() {
            assert!(parse(&bytes[..cut]).is_err());
        }
    }
}

#[test]
fn the_servers_reader_agrees() {
    let bytes = write(&samples());
    let views: Vec<core::RtcpView<'_>> = core::packets(&bytes).collect();
    assert_eq!(views.len(), samples().len());
    let nack = views.iter().find_map(|view| match view {
        core::RtcpView::Nack(nack) => Some(nack.sequence_numbers().collect::<Vec<_>>()),
        _ => None,
    });
    assert_eq!(nack, Some(vec![65_530, 65_535, 0, 10, 400]));
    let remb = views.iter().find_map(|view| match view {
        core::RtcpView::Remb(remb) => Some((remb.bitrate_bps, remb.ssrcs().collect::<Vec<_>>())),
        _ => None,
    });
    assert_eq!(remb, Some((0x3_FFFF << 3, vec![2, 3])));
    let feedback = views.iter().find_map(|view| match view {
        core::RtcpView::TransportFeedback(feedback) => Some(feedback.packets().count()),
        _ => None,
    });
    assert_eq!(feedback, Some(54));
}

#[test]
fn the_servers_writer_is_read() {
    let mut bytes = Vec::new();
    core::write_nack(&mut bytes, 1, 2, &[5, 6, 30]);
    core::write_pli(&mut bytes, core::Pli { sender_ssrc: 3, media_ssrc: 4 });
    core::write_cname(&mut bytes, 9, b"me");
    let expected = vec![
        Rtcp::Nack { sender_ssrc: 1, media_ssrc: 2, lost: vec![5, 6, 30] },
        Rtcp::Pli { sender_ssrc: 3, media_ssrc: 4 },
        Rtcp::SourceDescription(vec![(9, "me".into())]),
    ];
    assert_eq!(parse(&bytes), Ok(expected));
}

#[test]
fn times_are_quarters_of_milliseconds() {
    assert_eq!(transport_cc::tick_of_us(1_000), 4);
    assert_eq!(transport_cc::tick_of_us(-1), -1);
}
