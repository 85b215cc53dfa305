use sansfu::ortc::HeaderExtensionUri;

use super::*;
use crate::peer::media::frame::{Mismatch, dependency_descriptor, write_payload};
use crate::peer::media::layers::Layers;
use crate::peer::media::sender::RtpSender;
use crate::peer::media::tests::{MS, SEED, parameters_of, start};
use crate::peer::media::track::Codec;

/// A packet between sender and receiver.
#[derive(Debug, Clone)]
struct Forwarded {
    header: RtpHeader,
    extensions: Vec<(u8, Vec<u8>)>,
    marks: Marks,
    numbers: PictureNumbers,
    /// What follows `payload()` of marks and numbers.
    payload: Vec<u8>,
}

/// A forwarder that does right: it chooses packets, and numbers them anew. It asks for a keyframe of all encodings every second.
fn forward(track: &TrackSpec, choose: impl Fn(&Marks) -> bool) -> Vec<Forwarded> {
    let (from, mut datagrams) = (start(), Vec::new());
    let mut sender = RtpSender::new(track.clone(), SEED, from);
    for second in 0..2 {
        for ssrc in track.numbers(SEED).ssrcs {
            let pli = Rtcp::Pli { sender_ssrc: 1, media_ssrc: ssrc.0 };
            sender.handle_rtcp(from + 1_000 * MS * second, &rtcp::write(&[pli]));
        }
        sender.poll(from + 1_000 * MS * (second + 1) - MS, &mut datagrams);
    }
    let media = datagrams.iter().filter(|datagram| !rtcp::is_rtcp(datagram));
    let mut packets: Vec<Forwarded> =
        media.map(|datagram| Forwarded::of(track, datagram)).filter(|packet| choose(&packet.marks)).collect();
    let ssrc = track.numbers(SEED).ssrcs[0].0;
    let mut before: Option<(Marks, PictureNumbers)> = None;
    for (packet, sequence) in packets.iter_mut().zip(0u16..) {
        packet.header.ssrc = ssrc;
        packet.header.sequence_number = sequence.wrapping_add(65_500);
        packet.header.timestamp = packet.marks.capture.wrapping_add(0xFFFF_F000);
        if track.codec == Codec::Vp8 {
            packet.numbers = packet.vp8_numbers(before);
        }
        before = Some((packet.marks, packet.numbers));
        packet.write(track);
    }
    for at in 0..packets.len() {
        let (marks, next) = (packets[at].marks, packets.get(at + 1).map(|next| next.marks));
        packets[at].header.marker = track.codec.is_video()
            && marks.is_last()
            && next.map_or(marks.last_of_picture, |next| !next.same_picture(&marks));
    }
    packets
}

impl Forwarded {
    fn of(track: &TrackSpec, datagram: &[u8]) -> Self {
        let packet = RtpPacket::parse(datagram).unwrap();
        let recognised = recognise(track, packet.payload).unwrap();
        let extensions = packet.extensions.iter().map(|(id, value)| (*id, value.to_vec())).collect();
        Forwarded {
            header: packet.header,
            extensions,
            marks: recognised.marks,
            numbers: recognised.numbers,
            payload: packet.payload.to_vec(),
        }
    }

    fn vp8_numbers(&self, before: Option<(Marks, PictureNumbers)>) -> PictureNumbers {
        let Some((marks, numbers)) = before else { return self.numbers };
        if marks.same_picture(&self.marks) {
            return numbers;
        }
        let base = u8::from(self.marks.temporal_id == 0);
        PictureNumbers {
            picture_id: numbers.picture_id.map(|id| (id + 1) & 0x7FFF),
            tl0_picture_index: numbers.tl0_picture_index.map(|index| index.wrapping_add(base)),
            frame_number: None,
        }
    }

    fn write(&mut self, track: &TrackSpec) {
        self.payload.clear();
        write_payload(track, &self.marks, self.numbers, &mut self.payload);
    }

    fn bytes(&self) -> Vec<u8> {
        let extensions: Vec<_> = self.extensions.iter().map(|(id, value)| (*id, &value[..])).collect();
        self.header.packet(&extensions, &self.payload)
    }
}

/// All violations of a stream that arrives whole and in order, but in the end nothing is waited for.
fn judge_with(track: &TrackSpec, packets: &[Forwarded], prepare: fn(&mut RtpReceiver)) -> Vec<Violation> {
    let now = start();
    let mut receiver = RtpReceiver::new(&parameters_of(track, 0), track.clone(), now);
    receiver.expect_no_loss();
    prepare(&mut receiver);
    packets.iter().filter_map(|packet| receiver.handle_rtp(now, &packet.bytes()).err()).collect()
}

fn judge(track: &TrackSpec, packets: &[Forwarded]) -> Vec<Violation> {
    judge_with(track, packets, |_| ())
}

/// Leaves packets out and closes the gap, as one who wants to hide it.
fn without(packets: &[Forwarded], is_out: impl Fn(&Marks) -> bool) -> Vec<Forwarded> {
    let first = packets[0].header.sequence_number;
    let mut kept: Vec<Forwarded> = packets.iter().filter(|packet| !is_out(&packet.marks)).cloned().collect();
    for (packet, sequence) in kept.iter_mut().zip(0..) {
        packet.header.sequence_number = first.wrapping_add(sequence);
    }
    kept
}

/// The first violation of a stream with one packet changed: the first that `which` holds for.
fn with_one_changed(
    track: &TrackSpec,
    which: impl Fn(&Forwarded) -> bool,
    change: impl Fn(&mut Forwarded),
) -> Violation {
    let mut packets = forward(track, |_| true);
    let changed = packets.iter_mut().find(|packet| which(packet)).unwrap();
    change(changed);
    judge(track, &packets).into_iter().next().unwrap()
}

fn vp8() -> TrackSpec {
    TrackSpec::vp8(1)
}

fn svc(mode: &str) -> Layers {
    Layers::parse(mode).unwrap()
}

/// A packet in the middle of a frame that is no keyframe.
fn is_middle(packet: &Forwarded) -> bool {
    let marks = packet.marks;
    marks.number > 5 && !marks.keyframe && marks.index == 1 && marks.count > 2
}

fn is_end(packet: &Forwarded) -> bool {
    packet.marks.number > 5 && packet.marks.is_last()
}

#[test]
fn right_forwarding_breaks_no_rule() {
    let simulcast = TrackSpec::vp8_simulcast(1, 3, svc("L1T3"));
    let k_svc = TrackSpec::vp9_svc(1, svc("L3T3_KEY"));
    let full_svc = TrackSpec::vp9_svc(1, svc("L3T3")).non_flexible();
    let av1 = TrackSpec::av1_svc(1, svc("L3T3"));
    for track in [vp8(), k_svc.clone(), full_svc.clone(), av1.clone(), TrackSpec::h264(1), TrackSpec::opus(1)]
    {
        assert_eq!(judge(&track, &forward(&track, |_| true)), []);
    }
    for temporal_id in 0..3 {
        let lower = |marks: &Marks| marks.encoding == 0 && marks.temporal_id <= temporal_id;
        for track in [&simulcast, &k_svc, &full_svc, &av1] {
            assert_eq!(judge(track, &forward(track, lower)), []);
        }
    }
    for spatial_id in 0..3 {
        for track in [&full_svc, &av1] {
            assert_eq!(judge(track, &forward(track, |marks| marks.spatial_id <= spatial_id)), []);
        }
        // Only one of the layers that are independent of each other behind the key picture.
        let one = |marks: &Marks| marks.keyframe || marks.spatial_id == spatial_id;
        let below = |marks: &Marks| marks.spatial_id <= spatial_id && one(marks);
        assert_eq!(judge(&k_svc, &forward(&k_svc, below)), []);
    }
    let switching = forward(&simulcast, |marks| marks.encoding == u8::from(marks.capture >= 90_000) * 2);
    assert!(switching.iter().any(|packet| packet.marks.encoding == 2));
    assert_eq!(judge(&simulcast, &switching), []);
}

#[test]
fn what_is_no_packet_of_the_stream() {
    let first = |_: &Forwarded| true;
    let receiver = || RtpReceiver::new(&parameters_of(&vp8(), 0), vp8(), start());
    let outcome = receiver().handle_rtp(start(), &[0x80; 5]);
    assert_eq!(outcome, Err(Violation::NotRtp(crate::peer::rtp::RtpError::CutOff)));
    assert_eq!(with_one_changed(&vp8(), first, |p| p.header.ssrc = 9), Violation::Ssrc(9));
    assert_eq!(with_one_changed(&vp8(), first, |p| p.header.payload_type = 9), Violation::PayloadType(9));
    let mid = vp8().numbers(SEED).extension(HeaderExtensionUri::Mid).unwrap();
    let change = |p: &mut Forwarded| p.extensions.push((mid, b"x".to_vec()));
    let packets = forward(&vp8(), |_| true);
    assert!(packets[0].extensions.iter().any(|(id, value)| *id == mid && value == b"1"));
    let other = |p: &mut Forwarded| {
        p.extensions.retain(|(id, _)| *id != mid);
        change(p);
    };
    assert_eq!(with_one_changed(&vp8(), first, other), Violation::Mid("x".into()));
}

#[test]
fn changed_payloads() {
    let flipped = with_one_changed(&vp8(), is_middle, |p| *p.payload.last_mut().unwrap() ^= 1);
    assert!(matches!(flipped, Violation::Payload(_, Mismatch::Fill(_))), "{flipped}");
    let cut = with_one_changed(&vp8(), is_middle, |p| p.payload.truncate(p.payload.len() - 1));
    assert!(matches!(cut, Violation::Payload(_, Mismatch::Marks)), "{cut}");
    let other = with_one_changed(&vp8(), is_middle, |p| {
        p.marks.track = 2;
        p.write(&vp8());
    });
    assert!(matches!(other, Violation::Payload(_, Mismatch::Track(2))), "{other}");
    let synced = with_one_changed(&vp8(), is_middle, |p| p.payload[0] ^= 0x20);
    assert!(matches!(synced, Violation::Payload(_, Mismatch::Header(_))), "{synced}");
}

#[test]
fn a_dependency_descriptor_of_another_packet() {
    let track = TrackSpec::av1_svc(1, svc("L3T3"));
    let id = track.numbers(SEED).extension(HeaderExtensionUri::DependencyDescriptor).unwrap();
    let violation = with_one_changed(&track, is_end, |p| {
        let descriptor = p.extensions.iter_mut().find(|(other, _)| *other == id).unwrap();
        descriptor.1[0] ^= 1;
    });
    assert!(matches!(violation, Violation::DependencyDescriptor(_)), "{violation}");
    let violation = with_one_changed(&track, is_end, |p| {
        let descriptor = p.extensions.iter_mut().find(|(other, _)| *other == id).unwrap();
        descriptor.1[2] ^= 1;
    });
    assert!(matches!(violation, Violation::PictureId { .. }), "{violation}");
}

#[test]
fn decode_targets_that_have_not_what_is_sent() {
    let track = TrackSpec::av1_svc(1, svc("L3T3"));
    let layers = track.encodings[0].layers;
    let id = track.numbers(SEED).extension(HeaderExtensionUri::DependencyDescriptor).unwrap();
    let told = |active: u32| {
        let mut packets = forward(&track, |marks| marks.spatial_id <= 1);
        for packet in &mut packets {
            let descriptor = packet.extensions.iter_mut().find(|(other, _)| *other == id).unwrap();
            descriptor.1 = dependency_descriptor(layers, &packet.marks, Some(active));
        }
        judge(&track, &packets)
    };
    assert_eq!(told(0o077), []);
    assert_eq!(told(0o777), [], "more than is sent");
    let violations = told(0o007);
    assert!(
        matches!(violations[0], Violation::DependencyDescriptor(marks) if marks.spatial_id == 1),
        "{violations:?}"
    );
}

#[test]
fn sequence_numbers_used_twice_or_far_away() {
    let mut packets = forward(&vp8(), |_| true);
    packets[30].header.sequence_number = packets[29].header.sequence_number;
    let sequence = packets[29].header.sequence_number;
    assert_eq!(judge(&vp8(), &packets)[0], Violation::SequenceReused(sequence));
    let far = with_one_changed(&vp8(), is_middle, |p| p.header.sequence_number ^= 0x4000);
    assert!(matches!(far, Violation::SequenceJump { .. }), "{far}");
}

#[test]
fn packets_left_out_and_numbers_closed() {
    let packets = forward(&vp8(), |_| true);
    let frame = packets.iter().find(|packet| is_middle(packet)).unwrap().marks;
    let first = |index: u16| {
        let kept = without(&packets, |marks| marks.same_frame(&frame) && marks.index == index);
        judge(&vp8(), &kept).into_iter().next().unwrap()
    };
    assert!(matches!(first(1), Violation::FrameBroken { expected_index: 1, .. }));
    assert_eq!(first(0), Violation::FrameHeadless(FrameId::of(&frame)));
    assert_eq!(first(frame.count - 1), Violation::FrameCutShort(FrameId::of(&frame)));
}

#[test]
fn frames_left_out_and_numbers_closed() {
    let track = TrackSpec::h264(1);
    let packets = forward(&track, |_| true);
    let kept = without(&packets, |marks| marks.number == 7);
    let violations = judge(&track, &kept);
    let frame = FrameId { encoding: 0, number: 8, spatial_id: 0, temporal_id: 0, keyframe: false };
    // Reported once, not for every frame behind it.
    assert_eq!(violations, [Violation::ReferenceNotForwarded { frame, picture: 7, spatial_id: 0 }]);
    let kept = without(&packets, |marks| marks.number == 0);
    assert!(matches!(judge(&track, &kept)[0], Violation::StartsWithoutKeyframe(_)));
    // Temporal layers are gone up where the picture refers to one that was left out.
    let track = TrackSpec::vp8(1).with_layers(svc("L1T3"));
    let late_up = forward(&track, |marks| marks.temporal_id == 0 || marks.number > 10);
    let violations = judge(&track, &late_up);
    assert!(
        matches!(violations[..], [Violation::ReferenceNotForwarded { picture: 10, .. }]),
        "{violations:?}"
    );
    // A spatial layer that refers to one that was left out.
    let track = TrackSpec::av1_svc(1, svc("L3T3"));
    let violations = judge(&track, &forward(&track, |marks| marks.keyframe || marks.spatial_id != 1));
    assert!(
        matches!(violations[0], Violation::ReferenceNotForwarded { spatial_id: 1, .. }),
        "{violations:?}"
    );
}

#[test]
fn frames_out_of_order() {
    let track = TrackSpec::opus(1);
    let mut packets = forward(&track, |_| true);
    let (early, late) = packets.split_at_mut(20);
    std::mem::swap(&mut early[19].header.sequence_number, &mut late[0].header.sequence_number);
    assert!(matches!(judge(&track, &packets)[0], Violation::FrameOrder { .. }));
}

#[test]
fn wrong_timestamps() {
    let within = with_one_changed(&vp8(), is_middle, |p| p.header.timestamp += 1);
    assert!(matches!(within, Violation::TimestampsInPicture(_)), "{within}");
    let track = TrackSpec::opus(1);
    let drift = with_one_changed(&track, is_end, |p| p.header.timestamp += 960);
    assert!(matches!(drift, Violation::TimestampDrift { .. }), "{drift}");
    let track = TrackSpec::vp8_simulcast(1, 2, Layers::ONE);
    let mut packets = forward(&track, |marks| marks.encoding == u8::from(marks.capture >= 90_000));
    for packet in packets.iter_mut().filter(|packet| packet.marks.encoding == 1) {
        packet.header.timestamp = packet.header.timestamp.wrapping_sub(90_000);
    }
    let violations = judge(&track, &packets);
    assert!(matches!(violations[..], [Violation::TimestampBackwards(_)]), "{violations:?}");
}

#[test]
fn wrong_markers() {
    let inside = with_one_changed(&vp8(), is_middle, |p| p.header.marker = true);
    assert!(matches!(inside, Violation::MarkerInsidePicture(_)), "{inside}");
    let missing = with_one_changed(&vp8(), is_end, |p| p.header.marker = false);
    assert!(matches!(missing, Violation::MarkerMissing(_)), "{missing}");
    let track = TrackSpec::vp9_svc(1, svc("L3T3_KEY"));
    let lower = |p: &Forwarded| is_end(p) && p.marks.spatial_id == 0;
    let early = with_one_changed(&track, lower, |p| p.header.marker = true);
    assert!(matches!(early, Violation::MarkerInsidePicture(_)), "{early}");
}

#[test]
fn wrong_picture_numbers() {
    for track in [vp8(), TrackSpec::vp9(1)] {
        let mut packets = forward(&track, |_| true);
        for packet in packets.iter_mut().filter(|packet| packet.marks.number >= 7) {
            packet.numbers.picture_id = packet.numbers.picture_id.map(|id| (id + 1) & 0x7FFF);
            packet.write(&track);
        }
        let violations = judge(&track, &packets);
        assert!(matches!(violations[..], [Violation::PictureId { .. }]), "{violations:?}");
    }
    for track in [vp8().with_layers(svc("L1T3")), TrackSpec::vp9_svc(1, svc("L2T2")).non_flexible()] {
        let mut packets = forward(&track, |_| true);
        for packet in packets.iter_mut().filter(|packet| packet.marks.number >= 7) {
            packet.numbers.tl0_picture_index = packet.numbers.tl0_picture_index.map(|i| i.wrapping_sub(1));
            packet.write(&track);
        }
        let violations = judge(&track, &packets);
        assert!(matches!(violations[..], [Violation::Tl0PictureIndex { .. }]), "{violations:?}");
    }
}

#[test]
fn temporal_layers_left_out_of_vp8_need_new_picture_ids() {
    let track = vp8().with_layers(svc("L1T2"));
    let mut packets = forward(&track, |marks| marks.temporal_id == 0);
    let originals = forward(&track, |_| true);
    for packet in &mut packets {
        let original = originals.iter().find(|original| original.marks.same_frame(&packet.marks)).unwrap();
        packet.numbers = original.numbers;
        packet.write(&track);
    }
    assert!(matches!(judge(&track, &packets)[0], Violation::PictureId { .. }));
}

#[test]
fn a_switch_without_a_keyframe() {
    let track = TrackSpec::vp8_simulcast(1, 2, Layers::ONE);
    let packets = forward(&track, |marks| marks.encoding == u8::from(marks.capture >= 45_000));
    assert!(matches!(judge(&track, &packets)[0], Violation::SwitchWithoutKeyframe(_)));
}

#[test]
fn other_offsets_are_allowed_once_after_a_pause() {
    let shifted = |track: &TrackSpec, from: u32| {
        let mut packets = forward(track, |_| true);
        for packet in packets.iter_mut().filter(|packet| packet.marks.capture >= from) {
            packet.header.timestamp = packet.header.timestamp.wrapping_add(1_234);
            packet.numbers.picture_id = packet.numbers.picture_id.map(|id| (id + 50) & 0x7FFF);
            packet.write(track);
        }
        packets
    };
    let pause = |receiver: &mut RtpReceiver| {
        receiver.set_active(start(), false);
        receiver.set_active(start(), true);
    };
    // VP8 with the keyframe after a second, audio anywhere.
    for (track, from) in [(vp8(), 90_000), (TrackSpec::opus(1), 20_160)] {
        let packets = shifted(&track, from);
        assert_eq!(judge_with(&track, &packets, pause), []);
        assert!(matches!(judge(&track, &packets)[0], Violation::TimestampDrift { .. }));
        let mut twice = packets.clone();
        for packet in twice.iter_mut().filter(|packet| packet.marks.capture >= from + 9_600) {
            packet.header.timestamp = packet.header.timestamp.wrapping_add(99);
        }
        assert!(matches!(judge_with(&track, &twice, pause)[0], Violation::TimestampDrift { .. }));
    }
    let packets = shifted(&vp8(), 45_000);
    assert!(matches!(judge_with(&vp8(), &packets, pause)[0], Violation::TimestampDrift { .. }));
}

#[test]
fn empty_packets_fill_numbers() {
    let mut packets = forward(&vp8(), |_| true);
    let at = packets.iter().position(|packet| packet.marks.number == 7).unwrap();
    let mut empty = packets[at].clone();
    empty.payload.clear();
    for packet in &mut packets[at..] {
        packet.header.sequence_number = packet.header.sequence_number.wrapping_add(1);
    }
    packets.insert(at, empty);
    assert_eq!(judge(&vp8(), &packets), []);
}

#[test]
fn reports_tell_of_losses_and_of_the_last_sender_report() {
    let now = start();
    let mut receiver = RtpReceiver::new(&parameters_of(&vp8(), 0), vp8(), now);
    let packets = forward(&vp8(), |_| true);
    let kept = packets[..100].iter().enumerate().filter(|(at, _)| *at == 0 || at % 4 != 0);
    for (_, packet) in kept {
        receiver.handle_rtp(now, &packet.bytes()).unwrap();
    }
    let info = rtcp::SenderInfo { ntp_time: 0x0001_0002_0003_0004, ..Default::default() };
    receiver.handle_rtcp(now + 500 * MS, &rtcp::write(&[Rtcp::SenderReport(receiver.ssrc(), info, vec![])]));
    let mut out = Vec::new();
    receiver.poll(now + 1_000 * MS, &mut out).unwrap();
    let reports = out.iter().flat_map(|compound| rtcp::parse(compound).unwrap());
    let mut blocks = reports.filter_map(|packet| match packet {
        Rtcp::ReceiverReport(_, blocks) => Some(blocks[0]),
        _ => None,
    });
    let block = blocks.next().unwrap();
    assert_eq!((block.cumulative_lost, block.fraction_lost), (24, (24 * 256 / 100) as u8));
    assert_eq!((block.last_sr, block.delay_since_last_sr), (0x0002_0003, 32_768));
    let highest = u32::from(packets[99].header.sequence_number);
    assert_eq!(block.highest_sequence, 0x1_0000 + highest, "one cycle");
}
