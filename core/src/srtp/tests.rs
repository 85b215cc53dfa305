use std::collections::BTreeSet;

use super::cipher::AwsLcRs;
use super::replay::{ReplayWindow, WINDOW};
use super::*;
use crate::rng::Rng;

const PROFILES: [SrtpProfile; 3] =
    [SrtpProfile::Aes128CmSha1_80, SrtpProfile::AeadAes128Gcm, SrtpProfile::AeadAes256Gcm];

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn pair(profile: SrtpProfile, max_streams: usize) -> (Sender, Receiver) {
    let mut material = vec![0; 2 * (profile.key_len() + profile.salt_len())];
    Rng::from_seed([5; 32]).fill(&mut material);
    let contexts = |is_client| {
        SrtpContexts::from_keying_material(&AwsLcRs, profile, &material, is_client, max_streams).unwrap()
    };
    (contexts(true).sender, contexts(false).receiver)
}

fn rtp(ssrc: u32, seq: u16) -> Vec<u8> {
    let mut packet = vec![0x80, 0x60];
    packet.extend(seq.to_be_bytes());
    packet.extend(1000_u32.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(b"the payload of a packet");
    packet
}

fn sealed(sender: &Sender, ssrc: u32, index: u64) -> Vec<u8> {
    let mut packet = rtp(ssrc, index as u16);
    sender.protect_rtp(&mut packet, 0, 12, index).unwrap();
    packet
}

fn open(receiver: &mut Receiver, mut packet: Vec<u8>, ssrc: u32, seq: u16) -> Result<u64, SrtpError> {
    let (length, index) = receiver.unprotect_rtp(&mut packet, 12, ssrc, seq)?;
    assert_eq!(packet[..length], rtp(ssrc, seq));
    Ok(index)
}

fn rtcp(ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0x81, 202, 0, 2]);
    packet.extend(ssrc.to_be_bytes());
    packet.extend([1, 2, b'x', 0]);
    packet
}

/// Whole packets from master key to tag, as libsrtp's self-test has them.
#[test]
fn libsrtp_reference_packets() {
    let key = hex("e1f97a0d3e018be0d64fa32c06de4139");
    let salt = hex("0ec675ad498afeebb6960b3aabe6");
    let profile = SrtpProfile::Aes128CmSha1_80;
    let mut sender = Sender::new(&AwsLcRs, profile, &key, &salt).unwrap();
    let mut receiver = Receiver::new(&AwsLcRs, profile, &key, &salt, 4).unwrap();

    let plain = hex("800f1234decafbadcafebabe abababababababababababababababab");
    let cipher = hex("800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb");
    let mut packet = plain.clone();
    sender.protect_rtp(&mut packet, 0, 12, 0x1234).unwrap();
    assert_eq!(packet, cipher);
    let (length, index) = receiver.unprotect_rtp(&mut packet, 12, 0xCAFE_BABE, 0x1234).unwrap();
    assert_eq!((&packet[..length], index), (&plain[..], 0x1234));

    let plain = hex("81c8000bcafebabe abababababababababababababababab");
    let cipher = hex("81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798");
    sender.set_next_rtcp_index(1);
    let mut packet = plain.clone();
    sender.protect_rtcp(&mut packet, 0).unwrap();
    assert_eq!(packet, cipher);
    let length = receiver.unprotect_rtcp(&mut packet).unwrap();
    assert_eq!(packet[..length], plain);
}

#[test]
fn keying_material_is_split_by_role() {
    for profile in PROFILES {
        let length = 2 * (profile.key_len() + profile.salt_len());
        let material: Vec<u8> = (0..length as u8).collect();
        let contexts = |is_client, length: usize| {
            SrtpContexts::from_keying_material(&AwsLcRs, profile, &material[..length], is_client, 4)
        };
        let (mut client, mut server) = (contexts(true, length).unwrap(), contexts(false, length).unwrap());
        assert_eq!(open(&mut server.receiver, sealed(&client.sender, 7, 1), 7, 1), Ok(1));
        assert_eq!(open(&mut client.receiver, sealed(&server.sender, 7, 1), 7, 1), Ok(1));
        let own = sealed(&client.sender, 7, 2);
        assert_eq!(open(&mut client.receiver, own, 7, 2), Err(SrtpError::AuthenticationFailed));
        assert!(contexts(true, length - 1).is_none());
    }
}

#[test]
fn profiles_have_their_registered_numbers() {
    for profile in PROFILES {
        assert_eq!(SrtpProfile::from_protection_profile(profile.protection_profile()), Some(profile));
    }
    assert_eq!(SrtpProfile::from_protection_profile(2), None, "the profile with the short tag");
}

#[test]
fn every_damaged_byte_is_noticed() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile, 4);
        let packet = sealed(&sender, 9, 50);
        for at in 0..packet.len() {
            let mut damaged = packet.clone();
            damaged[at] ^= 0x10;
            let result = receiver.unprotect_rtp(&mut damaged, 12, 9, 50);
            assert_eq!(result, Err(SrtpError::AuthenticationFailed), "{profile:?} byte {at}");
        }
        assert_eq!(receiver.rtp_stream_count(), 0, "nothing is kept of what is not authentic");
        assert_eq!(open(&mut receiver, packet, 9, 50), Ok(50));

        let mut packet = rtcp(9);
        sender.protect_rtcp(&mut packet, 0).unwrap();
        for at in 0..packet.len() {
            let mut damaged = packet.clone();
            damaged[at] ^= 0x10;
            let result = receiver.unprotect_rtcp(&mut damaged);
            assert_eq!(result, Err(SrtpError::AuthenticationFailed), "{profile:?} byte {at}");
        }
        assert_eq!(receiver.unprotect_rtcp(&mut packet), Ok(rtcp(9).len()));
        assert_eq!(packet[..rtcp(9).len()], rtcp(9));
    }
}

#[test]
fn every_truncation_is_refused() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile, 4);
        let packet = sealed(&sender, 9, 50);
        let mut report = rtcp(9);
        sender.protect_rtcp(&mut report, 0).unwrap();
        for length in 0..packet.len() {
            assert!(receiver.unprotect_rtp(&mut packet.clone()[..length], 12, 9, 50).is_err(), "{length}");
        }
        for length in 0..report.len() {
            assert!(receiver.unprotect_rtcp(&mut report.clone()[..length]).is_err(), "{length}");
        }
        let header_only = profile.rtp_overhead_len() + 11;
        assert_eq!(receiver.unprotect_rtp(&mut vec![0; header_only], 12, 9, 50), Err(SrtpError::TooShort));
    }
}

#[test]
fn sealing_refuses_what_has_no_header() {
    let (mut sender, _) = pair(SrtpProfile::AeadAes128Gcm, 4);
    let mut buf = rtp(1, 1);
    let before = buf.clone();
    assert_eq!(sender.protect_rtp(&mut buf, 0, 100, 1), Err(SrtpError::TooShort));
    assert_eq!(sender.protect_rtp(&mut buf, 100, 12, 1), Err(SrtpError::TooShort));
    assert_eq!(sender.protect_rtp(&mut buf, 0, 12, 1 << 48), Err(SrtpError::KeyExhausted));
    assert_eq!(sender.protect_rtcp(&mut vec![0; 7], 0), Err(SrtpError::TooShort));
    assert_eq!(buf, before);
}

#[test]
fn rtcp_key_is_used_up_after_two_to_the_31() {
    let (mut sender, mut receiver) = pair(SrtpProfile::AeadAes128Gcm, 4);
    sender.set_next_rtcp_index((1 << 31) - 1);
    let mut packet = rtcp(3);
    sender.protect_rtcp(&mut packet, 0).unwrap();
    assert_eq!(packet[packet.len() - 4..], [0xFF; 4]);
    assert!(receiver.unprotect_rtcp(&mut packet).is_ok());
    let mut packet = rtcp(3);
    assert_eq!(sender.protect_rtcp(&mut packet, 0), Err(SrtpError::KeyExhausted));
    assert_eq!(packet, rtcp(3));
}

#[test]
fn rollover_is_followed_forwards_and_backwards() {
    for profile in PROFILES {
        let (sender, mut receiver) = pair(profile, 4);
        // Never more than half a round ahead: that is as far as it can be told.
        let order = [
            65_530, 65_535, 65_537, 65_536, 65_534, 65_538, 65_533, 98_000, 120_000, 131_070, 131_073,
            131_071, 131_072, 160_000, 190_000, 196_605, 196_613, 196_607, 196_608,
        ];
        for index in order {
            let packet = sealed(&sender, 4, index);
            assert_eq!(open(&mut receiver, packet, 4, index as u16), Ok(index), "{profile:?} {index}");
        }
    }
}

#[test]
fn first_packets_around_zero_stay_in_the_first_round() {
    let (sender, mut receiver) = pair(SrtpProfile::AeadAes128Gcm, 4);
    // Nothing is before index 0: a number far ahead of a low one is of the same round.
    for index in [3, 60_000] {
        assert_eq!(open(&mut receiver, sealed(&sender, 4, index), 4, index as u16), Ok(index));
    }
}

#[test]
fn a_wrong_rollover_counter_does_not_authenticate() {
    for profile in PROFILES {
        let (sender, mut receiver) = pair(profile, 4);
        let packet = sealed(&sender, 4, 65_536 + 7);
        assert_eq!(open(&mut receiver, packet, 4, 7), Err(SrtpError::AuthenticationFailed), "{profile:?}");
    }
}

#[test]
fn repetitions_are_refused() {
    for profile in PROFILES {
        let (mut sender, mut receiver) = pair(profile, 4);
        for index in [100, 102, 101] {
            let packet = sealed(&sender, 4, index);
            assert_eq!(open(&mut receiver, packet.clone(), 4, index as u16), Ok(index));
            assert_eq!(open(&mut receiver, packet, 4, index as u16), Err(SrtpError::Replayed));
        }
        // The same index of another SSRC is another packet.
        assert_eq!(open(&mut receiver, sealed(&sender, 5, 100), 5, 100), Ok(100));

        let mut report = rtcp(4);
        sender.protect_rtcp(&mut report, 0).unwrap();
        assert!(receiver.unprotect_rtcp(&mut report.clone()).is_ok());
        assert_eq!(receiver.unprotect_rtcp(&mut report), Err(SrtpError::Replayed));
    }
}

#[test]
fn window_ends_where_it_says() {
    let (sender, mut receiver) = pair(SrtpProfile::AeadAes128Gcm, 4);
    let highest = 5_000;
    open(&mut receiver, sealed(&sender, 4, highest), 4, highest as u16).unwrap();
    let (last_inside, first_outside) = (highest - WINDOW + 1, highest - WINDOW);
    let packet = sealed(&sender, 4, last_inside);
    assert_eq!(open(&mut receiver, packet.clone(), 4, last_inside as u16), Ok(last_inside));
    assert_eq!(open(&mut receiver, packet, 4, last_inside as u16), Err(SrtpError::Replayed));
    let packet = sealed(&sender, 4, first_outside);
    assert_eq!(open(&mut receiver, packet, 4, first_outside as u16), Err(SrtpError::Replayed));
}

#[test]
fn rtcp_indexes_are_counted_per_sender() {
    // As libsrtp does it: each SSRC of a sender has its own index, from one upwards.
    let (mut sender, mut receiver) = pair(SrtpProfile::Aes128CmSha1_80, 4);
    for ssrc in [1, 2, 3] {
        sender.set_next_rtcp_index(1);
        let mut report = rtcp(ssrc);
        sender.protect_rtcp(&mut report, 0).unwrap();
        assert!(receiver.unprotect_rtcp(&mut report).is_ok(), "{ssrc}");
    }
}

#[test]
fn replay_window_agrees_with_a_set() {
    let mut rng = Rng::from_seed([8; 32]);
    for round in 0..40 {
        let first = u64::from(rng.below(1 << 20));
        let mut window = ReplayWindow::new(first);
        let (mut seen, mut highest) = (BTreeSet::from([first]), first);
        // From mostly in order to wide leaps.
        let spread = 4 << (round % 14);
        for _ in 0..4_000 {
            let index = (highest + 8).saturating_sub(u64::from(rng.below(spread)))
                + if rng.below(50) == 0 { u64::from(rng.below(3_000)) } else { 0 };
            let expected = index + WINDOW > highest && !seen.contains(&index);
            assert_eq!(window.is_fresh(index), expected, "index {index}, highest {highest}");
            if expected {
                window.accept(index);
                seen.insert(index);
                highest = highest.max(index);
            }
            assert_eq!(window.highest(), highest);
        }
    }
}

#[test]
fn full_table_refuses_new_streams_and_keeps_live_ones() {
    let (sender, mut receiver) = pair(SrtpProfile::AeadAes128Gcm, 2);
    for ssrc in [1, 2] {
        assert_eq!(open(&mut receiver, sealed(&sender, ssrc, 1), ssrc, 1), Ok(1));
    }
    assert_eq!(open(&mut receiver, sealed(&sender, 3, 1), 3, 1), Err(SrtpError::TableFull));
    for ssrc in [1, 2] {
        assert_eq!(open(&mut receiver, sealed(&sender, ssrc, 1), ssrc, 1), Err(SrtpError::Replayed));
    }
    // Stream 1 goes silent while 2 lives on.
    for index in 2..5_000 {
        open(&mut receiver, sealed(&sender, 2, index), 2, index as u16).unwrap();
    }
    assert_eq!(open(&mut receiver, sealed(&sender, 3, 1), 3, 1), Ok(1));
    assert_eq!(receiver.rtp_stream_count(), 2);
    assert_eq!(open(&mut receiver, sealed(&sender, 2, 4_999), 2, 4_999), Err(SrtpError::Replayed));
}

/// Random orders, losses, repetitions and damages of a stream against a model of what should come through.
#[test]
fn random_networks() {
    let mut rng = Rng::from_seed([9; 32]);
    for profile in PROFILES {
        let (sender, mut receiver) = pair(profile, 4);
        let mut accepted = BTreeSet::new();
        let mut highest = 65_000;
        let packet = sealed(&sender, 6, highest);
        open(&mut receiver, packet, 6, highest as u16).unwrap();
        accepted.insert(highest);
        for _ in 0..3_000 {
            let index = (highest + 40).saturating_sub(u64::from(rng.below(1_200)));
            let mut packet = sealed(&sender, 6, index);
            let is_damaged = rng.below(10) == 0;
            if is_damaged {
                let at = rng.below(packet.len() as u32) as usize;
                packet[at] ^= 1 << rng.below(8);
            }
            let result = receiver.unprotect_rtp(&mut packet, 12, 6, index as u16);
            let is_fresh = index + WINDOW > highest && !accepted.contains(&index);
            match (is_fresh, is_damaged) {
                (false, _) => assert_eq!(result, Err(SrtpError::Replayed)),
                (true, true) => assert_eq!(result, Err(SrtpError::AuthenticationFailed)),
                (true, false) => {
                    assert_eq!(result, Ok((rtp(6, 0).len(), index)));
                    accepted.insert(index);
                    highest = highest.max(index);
                }
            }
        }
        assert!(accepted.len() > 1_000, "{}", accepted.len());
    }
}
