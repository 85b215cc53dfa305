use super::*;
use crate::srtp::cipher::AwsLcRs;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn rfc_3711_b2_counter_mode_key_stream() {
    let cipher = AwsLcRs.aes_counter(&hex("2B7E151628AED2A6ABF7158809CF4F3C")).unwrap();
    let salt = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD").try_into().unwrap();
    let mut stream = vec![0; 0xFF02 * 16];
    assert!(cipher.apply(&counter_block(&salt, 0, 0), &mut stream));
    assert_eq!(stream[..16], hex("E03EAD0935C95E80E166B16DD92B4EB4"));
    assert_eq!(stream[16..32], hex("D23513162B02D0F72A43A2FE4A5F97AB"));
    assert_eq!(stream[32..48], hex("41E95B3BB0A2E8DD477901E4FCA894C0"));
    assert_eq!(stream[0xFEFF * 16..][..16], hex("EC8CDF7398607CB0F2D21675EA9EA1E4"));
    assert_eq!(stream[0xFF00 * 16..][..16], hex("362B7C3C6773516318A077D7FC5073AE"));
    assert_eq!(stream[0xFF01 * 16..][..16], hex("6A2CC3787889374FBEB4C81B17BA6C44"));
}

#[test]
fn rfc_3711_b3_key_derivation() {
    let master = AwsLcRs.aes_counter(&hex("E1F97A0D3E018BE0D64FA32C06DE4139")).unwrap();
    let salt = hex("0EC675AD498AFEEBB6960B3AABE6");
    let derive = |label, length| {
        let mut out = vec![0; length];
        assert!(derive_key(master.as_ref(), &salt, label, &mut out));
        out
    };
    assert_eq!(derive(0, 16), hex("C61E7A93744F39EE10734AFE3FF7A087"));
    assert_eq!(derive(2, 14), hex("30CBBC08863D8C85D49DB34A9AE1"));
    let authentication = hex(
        "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4 8F0A0ACF3C34E2359E6CDBCE E049646C43D9327AD175578EF7227098
         6371C10C9A369AC2F94A8C5FBCDDDC25 6D6E919A48B610EF17C2041E47403576 6B68642C59BBFC2F34DB60DBDFB2",
    );
    assert_eq!(derive(1, 94), authentication);
}

/// RFC 7714 section 16: the packet with "Gallia est omnis divisa in partes tres".
const RTP: &str = "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070
                   61727465 73207472 6573";
/// RFC 7714 section 17.
const RTCP: &str = "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef
                    deadbeef deadbeef deadbeef";

fn rfc_7714(key_len: usize) -> Protection {
    let key: Vec<u8> = (0..key_len as u8).collect();
    let salt = *b"Quid pro quo";
    Protection::aead(&AwsLcRs, &key, salt).unwrap()
}

fn check_rtp(protection: &Protection, sealed: &str) {
    let mut buf = b"before".to_vec();
    buf.extend(hex(RTP));
    protection.seal_rtp(&mut buf, 6, 12, 0xF17B).unwrap();
    assert_eq!(&buf[..6], b"before");
    let expected = [hex(&RTP[..27]), hex(sealed)].concat();
    assert_eq!(buf[6..], expected);
    let mut packet = expected;
    let length = protection.open_rtp(&mut packet, 12, 0x5501_A0B2, 0xF17B).unwrap();
    assert_eq!(packet[..length], hex(RTP));
}

#[test]
fn rfc_7714_16_1_aead_aes_128_gcm() {
    check_rtp(
        &rfc_7714(16),
        "f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1
         6a9152cf 765ee439 0cce",
    );
}

#[test]
fn rfc_7714_16_2_aead_aes_256_gcm() {
    check_rtp(
        &rfc_7714(32),
        "32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f 1ba63799 b87b7aa3 db36dfff
         d6b0f9bb 7878d7a7 6c13",
    );
}

fn check_rtcp(protection: &Protection, sealed: &str) {
    let mut buf = b"before".to_vec();
    buf.extend(hex(RTCP));
    protection.seal_rtcp(&mut buf, 6, 0x5D4).unwrap();
    assert_eq!(buf[6..], hex(sealed));
    let mut packet = hex(sealed);
    let length = protection.open_rtcp(&mut packet).unwrap();
    assert_eq!(packet[..length], hex(RTCP));
}

#[test]
fn rfc_7714_17_1_aead_aes_128_gcm() {
    check_rtcp(
        &rfc_7714(16),
        "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46
         86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
    );
}

#[test]
fn rfc_7714_17_2_aead_aes_256_gcm() {
    check_rtcp(
        &rfc_7714(32),
        "81c8000d 4d617273 d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 110555be 8415f658
         c61de047 6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4",
    );
}

#[test]
fn rfc_7714_17_3_tagging_only() {
    let protection = rfc_7714(16);
    let mut packet = hex(
        "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef deadbeef
         deadbeef deadbeef 841dd968 3dd78ec9 2ae58790 125f62b3 000005d4",
    );
    let length = protection.open_rtcp(&mut packet.clone()).unwrap();
    assert_eq!(packet[..length], hex(RTCP));
    packet[20] ^= 1;
    assert_eq!(protection.open_rtcp(&mut packet), Err(SrtpError::AuthenticationFailed));
}
