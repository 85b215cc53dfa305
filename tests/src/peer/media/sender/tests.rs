use super::*;
use crate::peer::media::frame::recognise;
use crate::peer::media::layers::Layers;
use crate::peer::media::tests::{Call, MS, SEED, start};
use crate::peer::rtcp::{Arrival, TransportFeedback};
use crate::peer::rtp::RtpPacket;

fn simulcast() -> TrackSpec {
    TrackSpec::vp8_simulcast(1, 3, Layers::parse("L1T3").unwrap())
}

/// Sends for so long; what was sent, RTP only.
fn run(sender: &mut RtpSender, from: Instant, time: Duration) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    while let Some(at) = sender.deadline().filter(|at| *at < from + time) {
        sender.poll(at, &mut out);
    }
    out.retain(|datagram| !rtcp::is_rtcp(datagram));
    out
}

/// RTP payload bits a second of each encoding.
fn rates_bps(track: &TrackSpec, datagrams: &[Vec<u8>], time: Duration) -> Vec<u64> {
    let mut bits = vec![0; track.encodings.len()];
    for datagram in datagrams {
        let packet = RtpPacket::parse(datagram).unwrap();
        let Ok(recognised) = recognise(track, packet.payload) else { continue };
        bits[usize::from(recognised.marks.encoding)] += packet.payload.len() as u64 * 8;
    }
    bits.iter().map(|bits| bits * 1_000 / time.as_millis() as u64).collect()
}

fn remb(bitrate_bps: u64) -> Vec<u8> {
    crate::peer::media::feedback::remb(1, bitrate_bps, &[])
}

#[test]
fn frame_sizes_follow_the_highest_bitrate() {
    for track in [TrackSpec::vp8(1), simulcast(), TrackSpec::vp9_svc(1, Layers::parse("L3T3_KEY").unwrap())] {
        let from = start();
        let mut sender = RtpSender::new(track.clone(), SEED, from);
        let datagrams = run(&mut sender, from, 5_000 * MS);
        for (rate, encoding) in rates_bps(&track, &datagrams, 5_000 * MS).into_iter().zip(&track.encodings) {
            let highest = encoding.max_bitrate_bps;
            assert!((highest * 8 / 10..highest * 12 / 10).contains(&rate), "{rate} of {highest}");
        }
    }
}

#[test]
fn rates_follow_remb_and_encodings_go_from_the_top() {
    let (track, from) = (simulcast(), start());
    let mut sender = RtpSender::new(track.clone(), SEED, from);
    run(&mut sender, from, 1_000 * MS);
    let expected: [(u64, &[u64]); 5] = [
        (1_150_000, &[150_000, 500_000, 500_000]),
        (500_000, &[150_000, 350_000, 0]),
        (250_000, &[150_000, 0, 0]),
        (100_000, &[100_000, 0, 0]),
        (10_000_000, &[150_000, 500_000, 1_500_000]),
    ];
    for (step, (bitrate_bps, rates)) in (1..).zip(expected) {
        sender.handle_rtcp(from + 1_000 * MS * step, &remb(bitrate_bps));
        let datagrams = run(&mut sender, from + 1_000 * MS * step, 1_000 * MS);
        assert_eq!(sender.encoding_rates_bps().collect::<Vec<_>>(), rates);
        let found = rates_bps(&track, &datagrams, 1_000 * MS);
        for (found, expected) in found.iter().zip(rates) {
            assert!(
                *found <= expected * 13 / 10 + 1_000 && *found >= expected * 7 / 10,
                "{found} of {expected}"
            );
        }
    }
    // What came on again began with a keyframe.
    let last_keyframe = sender.sent_frames().rev().find(|sent| sent.frame.marks.keyframe).unwrap();
    assert_eq!((last_keyframe.frame.marks.encoding, last_keyframe.at), (2, from + 5_000 * MS));
    assert_eq!(sender.counters().rembs, 5);
}

#[test]
fn loss_told_by_transport_feedback_lowers_the_rate_and_its_end_raises_it() {
    let mut call = Call::new(TrackSpec::vp8(1).without_rtx(), 0);
    call.run_for(1_000 * MS);
    let highest = call.sender.target_bps();
    assert_eq!(highest, 900_000);
    call.path = Box::new(|n, _| if n % 5 == 0 { vec![] } else { vec![Duration::ZERO] });
    call.run_for(3_000 * MS);
    let lowest = call.sender.target_bps();
    assert!(lowest < highest / 2, "{lowest}");
    call.path = Box::new(|_, _| vec![Duration::ZERO]);
    call.run_for(5_000 * MS);
    assert!(call.sender.target_bps() > lowest * 13 / 10);
    assert!(call.sender.counters().transport_feedbacks > 50);
}

#[test]
fn numbers_of_others_are_not_counted() {
    let from = start();
    let mut sender = RtpSender::new(TrackSpec::vp8(1), SEED, from);
    run(&mut sender, from, 500 * MS);
    let feedback = TransportFeedback {
        sender_ssrc: 1,
        media_ssrc: 2,
        feedback_count: 0,
        base: 30_000,
        arrivals: vec![Arrival::Lost; 500],
    };
    for ms in [500, 1_000] {
        let compound = rtcp::write(&[Rtcp::TransportFeedback(feedback.clone())]);
        sender.handle_rtcp(from + MS * ms, &compound);
    }
    assert_eq!(sender.target_bps(), 900_000);
}

#[test]
fn keyframes_come_on_request_and_for_the_encoding_asked_for() {
    let (track, from) = (simulcast(), start());
    let mut sender = RtpSender::new(track.clone(), SEED, from);
    run(&mut sender, from, 1_000 * MS);
    let ssrc = track.numbers(SEED).ssrcs[1].0;
    let requests = [Rtcp::Pli { sender_ssrc: 1, media_ssrc: ssrc }, Rtcp::Fir(1, vec![(ssrc, 5)])];
    for (step, request) in (1..).zip(requests.iter().cycle().take(4)) {
        let now = from + 1_000 * MS * step;
        sender.handle_rtcp(now, &rtcp::write(std::slice::from_ref(request)));
        run(&mut sender, now, 1_000 * MS);
        let later = sender.sent_frames().filter(|sent| sent.at >= now && sent.frame.marks.keyframe);
        let keyframes: Vec<u8> = later.map(|sent| sent.frame.marks.encoding).collect();
        // The second full intra request repeats the command of the first.
        assert_eq!(keyframes, if step == 4 { vec![] } else { vec![1] });
    }
    let counters = sender.counters();
    assert_eq!(counters.keyframe_requests.len(), 3);
    assert!(counters.keyframe_requests.iter().all(|(_, encoding)| *encoding == 1));
    let pli = rtcp::write(&requests[..1]);
    for ms in [5_000, 5_100] {
        sender.handle_rtcp(from + MS * ms, &pli);
    }
    assert_eq!(sender.counters().keyframe_requests_dropped, 1);
}

#[test]
fn a_key_picture_has_all_spatial_layers() {
    let from = start();
    let mut sender = RtpSender::new(TrackSpec::vp9_svc(1, Layers::parse("L3T3").unwrap()), SEED, from);
    run(&mut sender, from, 100 * MS);
    let keyframes: Vec<u8> = sender
        .sent_frames()
        .filter(|sent| sent.frame.marks.keyframe)
        .map(|sent| sent.frame.marks.spatial_id)
        .collect();
    assert_eq!(keyframes, [0, 1, 2]);
    assert_eq!(sender.counters().keyframes, 1);
}

#[test]
fn paused_muted_and_inactive() {
    let (track, from) = (simulcast(), start());
    let mut sender = RtpSender::new(track.clone(), SEED, from);
    run(&mut sender, from, 1_000 * MS);
    sender.set_paused(from + 1_000 * MS, true);
    assert_eq!(sender.deadline(), None);
    let mut out = Vec::new();
    sender.poll(from + 1_500 * MS, &mut out);
    assert_eq!(out.len(), 0);
    sender.set_paused(from + 2_000 * MS, false);
    let datagrams = run(&mut sender, from + 2_000 * MS, 40 * MS);
    let first = recognise(&track, RtpPacket::parse(&datagrams[0]).unwrap().payload).unwrap();
    assert!(first.marks.keyframe && first.marks.capture == 180_000);
    sender.set_muted(true);
    let muted = run(&mut sender, from + 2_040 * MS, 1_000 * MS);
    assert!(muted.iter().all(|datagram| datagram.len() < 100));
    sender.set_muted(false);
    sender.set_encoding_active(0, false);
    let datagrams = run(&mut sender, from + 3_040 * MS, 1_000 * MS);
    let rates = rates_bps(&track, &datagrams, 1_000 * MS);
    assert!(rates[0] == 0 && rates[1] > 300_000 && rates[2] > 1_000_000, "{rates:?}");
}

#[test]
fn streams_are_named_until_they_are_known() {
    let (track, from) = (simulcast(), start());
    let mut sender = RtpSender::new(track.clone(), SEED, from);
    let numbers = track.numbers(SEED);
    let named = |datagram: &Vec<u8>| {
        let packet = RtpPacket::parse(datagram).unwrap();
        let value = |uri| packet.extension(numbers.extension(uri).unwrap());
        assert!(value(HeaderExtensionUri::TransportCc).is_some());
        let rid = value(HeaderExtensionUri::Rid).map(|rid| String::from_utf8_lossy(rid).into_owned());
        assert_eq!(value(HeaderExtensionUri::Mid).is_some(), rid.is_some());
        (packet.header.ssrc, rid)
    };
    for datagram in run(&mut sender, from, 500 * MS) {
        let (ssrc, rid) = named(&datagram);
        let encoding = numbers.ssrcs.iter().position(|(other, _)| *other == ssrc).unwrap();
        assert_eq!(rid, Some(format!("r{encoding}")));
    }
    let block = rtcp::ReportBlock { ssrc: numbers.ssrcs[0].0, ..Default::default() };
    sender.handle_rtcp(from + 500 * MS, &rtcp::write(&[Rtcp::ReceiverReport(1, vec![block])]));
    for datagram in run(&mut sender, from, 1_000 * MS) {
        let (ssrc, rid) = named(&datagram);
        assert_eq!(rid.is_some(), ssrc != numbers.ssrcs[0].0);
    }
}

#[test]
fn sequence_numbers_begin_low_or_near_the_wrap() {
    for seed in 0..20 {
        let from = start();
        let mut low = RtpSender::new(TrackSpec::opus(1), seed, from);
        let near = FirstSequence::NearWrap;
        let mut near = RtpSender::with_first_sequence(TrackSpec::opus(1), seed, from, near);
        let first = |sender: &mut RtpSender| {
            RtpPacket::parse(&run(sender, from, MS)[0]).unwrap().header.sequence_number
        };
        assert!(first(&mut low) < 0x8000);
        assert!(first(&mut near) > 0xFFFF - 20);
    }
}

#[test]
fn reports_tell_of_what_was_sent() {
    let from = start();
    let mut sender = RtpSender::new(TrackSpec::opus(1), SEED, from);
    let mut out = Vec::new();
    while let Some(at) = sender.deadline().filter(|at| *at <= from + 3_000 * MS) {
        sender.poll(at, &mut out);
    }
    let reports: Vec<_> =
        out.iter().filter(|datagram| rtcp::is_rtcp(datagram)).flat_map(|r| rtcp::parse(r).unwrap()).collect();
    let infos: Vec<_> = reports
        .iter()
        .filter_map(|packet| match packet {
            Rtcp::SenderReport(_, info, _) => Some(*info),
            _ => None,
        })
        .collect();
    assert_eq!(infos.len(), 3);
    assert_eq!(infos[2].ntp_time - infos[1].ntp_time, 1 << 32);
    assert_eq!(infos[2].rtp_timestamp.wrapping_sub(infos[1].rtp_timestamp), 48_000);
    assert_eq!(infos[2].packet_count - infos[1].packet_count, 50);
    let name = (sender.numbers().ssrcs[0].0, sender.numbers().cname.clone());
    assert!(reports.contains(&Rtcp::SourceDescription(vec![name])));
}

#[test]
fn audio_tells_its_level_and_the_end_is_told() {
    let (track, from) = (TrackSpec::opus(1), start());
    let mut sender = RtpSender::new(track.clone(), SEED, from);
    let id = track.numbers(SEED).extension(HeaderExtensionUri::AudioLevel).unwrap();
    let mut level = |step: u32, set: &dyn Fn(&mut RtpSender)| {
        set(&mut sender);
        let datagrams = run(&mut sender, from, 20 * MS * step);
        RtpPacket::parse(&datagrams[0]).unwrap().extension(id).unwrap().to_vec()
    };
    assert_eq!(level(1, &|_| ()), [0x80 | 30]);
    assert_eq!(level(2, &|sender| sender.set_audio_level(5)), [0x80 | 5]);
    assert_eq!(level(3, &|sender| sender.set_muted(true)), [127]);
    let ssrc = track.numbers(SEED).ssrcs[0].0;
    let goodbye = rtcp::parse(&sender.goodbye()).unwrap();
    assert_eq!(goodbye, [Rtcp::ReceiverReport(ssrc, vec![]), Rtcp::Bye(vec![ssrc])]);
}

#[test]
fn repairs_go_by_the_retransmission_stream_or_as_they_were() {
    for track in [simulcast(), simulcast().without_rtx()] {
        let from = start();
        let mut sender = RtpSender::new(track.clone(), SEED, from);
        let sent = run(&mut sender, from, 500 * MS);
        let numbers = track.numbers(SEED);
        let (media_ssrc, rtx_ssrc) = numbers.ssrcs[2];
        let original = sent.iter().map(|datagram| RtpPacket::parse(datagram).unwrap());
        let original = original.filter(|packet| packet.header.ssrc == media_ssrc).nth(3).unwrap();
        let sequence = original.header.sequence_number;
        let unknown = sequence.wrapping_add(30_000);
        let lost = vec![sequence, unknown];
        let now = from + 500 * MS;
        sender.handle_rtcp(now, &rtcp::write(&[Rtcp::Nack { sender_ssrc: 1, media_ssrc, lost }]));
        assert_eq!(sender.deadline(), Some(now), "at once");
        let repair = run(&mut sender, from, 501 * MS)[0].clone();
        let repair = RtpPacket::parse(&repair).unwrap();
        assert_eq!((sender.counters().repairs, sender.counters().nacked_unknown), (1, 1));
        assert_eq!(repair.header.timestamp, original.header.timestamp);
        let (rid, payload) = match rtx_ssrc {
            Some(ssrc) => {
                assert_eq!(
                    (repair.header.ssrc, Some(repair.header.payload_type)),
                    (ssrc, numbers.rtx_payload_type)
                );
                assert_eq!(repair.payload[..2], sequence.to_be_bytes());
                (HeaderExtensionUri::RepairedRid, &repair.payload[2..])
            }
            None => {
                assert_eq!(repair.header, original.header);
                (HeaderExtensionUri::Rid, repair.payload)
            }
        };
        assert_eq!(payload, original.payload);
        assert_eq!(repair.extension(numbers.extension(rid).unwrap()), Some(&b"r2"[..]));
    }
}
