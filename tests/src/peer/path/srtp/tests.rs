use sansfu::srtp::cipher::AwsLcRs;
use sansfu::srtp::{SrtpContexts, SrtpProfile};

use super::*;
use crate::fixed_dtls::keying_material;

const PROFILES: [SrtpProfile; 3] =
    [SrtpProfile::Aes128CmSha1_80, SrtpProfile::AeadAes128Gcm, SrtpProfile::AeadAes256Gcm];

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

#[test]
fn rfc_3711_b2_key_stream() {
    let cipher = block_cipher(&hex("2B7E151628AED2A6ABF7158809CF4F3C"));
    let salt = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD").try_into().unwrap();
    let stream = counter_mode(&cipher, start(&salt, 0, 0), &vec![0; 0xff02 * 16]);
    assert_eq!(stream[..16], hex("E03EAD0935C95E80E166B16DD92B4EB4"));
    assert_eq!(stream[16..32], hex("D23513162B02D0F72A43A2FE4A5F97AB"));
    assert_eq!(stream[0xff01 * 16..], hex("6A2CC3787889374FBEB4C81B17BA6C44"));
}

#[test]
fn rfc_3711_b3_key_derivation() {
    let master = block_cipher(&hex("E1F97A0D3E018BE0D64FA32C06DE4139"));
    let derive = |label, length| derive_key(&master, &hex("0EC675AD498AFEEBB6960B3AABE6"), label, length);
    assert_eq!(derive(0, 16), hex("C61E7A93744F39EE10734AFE3FF7A087"));
    assert_eq!(derive(2, 14), hex("30CBBC08863D8C85D49DB34A9AE1"));
    assert_eq!(derive(1, 20), hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"));
}

/// RFC 7714 section 16.
const RTP: &str = "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070
                   61727465 73207472 6573";
/// RFC 7714 section 17.
const RTCP: &str = "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef
                    deadbeef deadbeef deadbeef";

#[test]
fn rfc_7714_16_rtp() {
    let sealed = [
        "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b
         36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce",
        "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f
         1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
    ];
    for (key_len, sealed) in [16, 32].into_iter().zip(sealed) {
        let key: Vec<u8> = (0..key_len).collect();
        let transform = Transform::gcm(&key, b"Quid pro quo");
        assert_eq!(transform.seal_rtp(&hex(RTP), 12, 0x5501_a0b2, 0xf17b), hex(sealed));
        assert_eq!(transform.open_rtp(&hex(sealed), 12, 0x5501_a0b2, 0xf17b), Ok(hex(RTP)));
    }
}

#[test]
fn rfc_7714_17_rtcp() {
    let sealed = [
        "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46
         86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
        "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 110555be 8415f658
         c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4",
    ];
    for (key_len, sealed) in [16, 32].into_iter().zip(sealed) {
        let key: Vec<u8> = (0..key_len).collect();
        let transform = Transform::gcm(&key, b"Quid pro quo");
        assert_eq!(transform.seal_rtcp(&hex(RTCP), 0x4d61_7273, 0x5d4), hex(sealed));
        assert_eq!(transform.open_rtcp(&hex(sealed), 0x4d61_7273), Ok((hex(RTCP), 0x5d4)));
    }
}

fn rtp(ssrc: u32, sequence: u16, first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first, 96];
    packet.extend(sequence.to_be_bytes());
    packet.extend([1, 2, 3, 4]);
    packet.extend(ssrc.to_be_bytes());
    packet.extend(body);
    packet
}

/// Headers of every shape, and payloads of every length modulo a block.
fn packets() -> Vec<(u16, Vec<u8>)> {
    let body: Vec<u8> = (0..60).collect();
    let extended = [&[0, 1, 0xbe, 0xde, 0, 2, 9, 9, 9, 9, 8, 8, 8, 8][2..], &body].concat();
    let mut packets: Vec<_> =
        (0..=48).map(|len| (len, rtp(7, len, 0x80, &body[..usize::from(len)]))).collect();
    packets.push((49, rtp(7, 49, 0x83, &body)));
    packets.push((50, rtp(7, 50, 0x90, &extended)));
    packets
}

#[test]
fn the_core_opens_what_is_sealed_here() {
    for profile in PROFILES {
        let material = keying_material(profile);
        let mut own = Srtp::new(Some(profile), &material, true);
        let mut core = SrtpContexts::from_keying_material(&AwsLcRs, profile, &material, false, 8).unwrap();
        for (sequence, packet) in packets() {
            let mut sealed = own.protect_rtp(&packet).unwrap();
            let header_len = header_len(&packet).unwrap();
            let (length, _) = core.receiver.unprotect_rtp(&mut sealed, header_len, 7, sequence).unwrap();
            assert_eq!(sealed[..length], packet, "{profile:?}");
            let compound = [&[0x80, 201, 0, 1, 0, 0, 0, 7][..], &packet].concat();
            let mut sealed = own.protect_rtcp(&compound).unwrap();
            let length = core.receiver.unprotect_rtcp(&mut sealed).unwrap();
            assert_eq!(sealed[..length], compound, "{profile:?}");
        }
    }
}

#[test]
fn what_the_core_seals_is_opened_here() {
    for profile in PROFILES {
        let material = keying_material(profile);
        let mut own = Srtp::new(Some(profile), &material, true);
        let mut core = SrtpContexts::from_keying_material(&AwsLcRs, profile, &material, false, 8).unwrap();
        for (sequence, packet) in packets() {
            let mut sealed = packet.clone();
            let header_len = header_len(&packet).unwrap();
            core.sender.protect_rtp(&mut sealed, 0, header_len, sequence.into()).unwrap();
            for at in 0..sealed.len() {
                let mut damaged = sealed.clone();
                damaged[at] ^= 2;
                assert!(own.unprotect_rtp(&damaged).is_err(), "{profile:?} byte {at}");
                assert!(own.unprotect_rtp(&sealed[..at]).is_err(), "{profile:?} {at} bytes");
            }
            assert_eq!(own.unprotect_rtp(&sealed), Ok(packet.clone()));
            assert_eq!(own.unprotect_rtp(&sealed), Err(SrtpError::Replayed));
            let compound = [&[0x80, 201, 0, 1, 0, 0, 0, 7][..], &packet].concat();
            let mut sealed = compound.clone();
            core.sender.protect_rtcp(&mut sealed, 0).unwrap();
            for at in 0..sealed.len() {
                assert!(own.unprotect_rtcp(&sealed[..at]).is_err(), "{profile:?} {at} bytes");
            }
            assert_eq!(own.unprotect_rtcp(&sealed), Ok(compound));
            assert_eq!(own.unprotect_rtcp(&sealed), Err(SrtpError::Replayed));
        }
    }
}

/// The rollover counter is followed by both in the same way, forwards, backwards and with leaps.
#[test]
fn the_core_and_this_follow_the_same_rollovers() {
    let order = [
        65_530, 65_535, 65_537, 65_536, 65_534, 98_000, 98_001, 120_000, 131_070, 131_073, 131_071, 131_072,
        160_000, 190_000, 196_605, 196_613, 196_607,
    ];
    for profile in PROFILES {
        let material = keying_material(profile);
        let core = SrtpContexts::from_keying_material(&AwsLcRs, profile, &material, true, 8).unwrap();
        let mut sender = Srtp::new(Some(profile), &material, true);
        let mut receiver = Srtp::new(Some(profile), &material, false);
        for index in order {
            let packet = rtp(4, index as u16, 0x80, b"payload");
            let mut sealed = packet.clone();
            core.sender.protect_rtp(&mut sealed, 0, 12, index).unwrap();
            assert_eq!(sender.protect_rtp(&packet).unwrap(), sealed, "{profile:?} {index}");
            assert_eq!(receiver.unprotect_rtp(&sealed), Ok(packet), "{profile:?} {index}");
        }
    }
}

#[test]
fn the_nearest_index_is_that_of_appendix_a() {
    assert_eq!(nearest_index(3, 60_000), 60_000, "nothing is before the beginning");
    assert_eq!(nearest_index(65_539, 65_535), 65_535);
    assert_eq!(nearest_index(65_535, 0), 65_536);
    // At a distance of half a round the counter stays.
    assert_eq!(nearest_index(65_536 + 100, 100 + 32_768), 65_536 + 100 + 32_768);
    assert_eq!(nearest_index(65_536 + 40_000, 40_000 - 32_768), 65_536 + 40_000 - 32_768);
}

#[test]
fn lies_and_stumps_do_not_panic() {
    for profile in PROFILES.into_iter().map(Some).chain([None]) {
        let material = profile.map(keying_material).unwrap_or_default();
        let mut own = Srtp::new(profile, &material, true);
        let endless_extension = rtp(1, 1, 0x90, &[0xbe, 0xde, 0xff, 0xff]);
        let sealed = own.protect_rtp(&endless_extension).unwrap();
        assert!(sealed.len() > endless_extension.len());
        assert_eq!(own.unprotect_rtp(&sealed), Err(SrtpError::Malformed));
        for length in 0..12 {
            assert_eq!(own.protect_rtp(&vec![0x80; length]), Err(SrtpError::Malformed));
        }
        for length in 0..8 {
            assert_eq!(own.protect_rtcp(&vec![0x80; length]), Err(SrtpError::Malformed));
        }
    }
}
