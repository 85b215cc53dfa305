//! SRTP suites and keys as signalled, against a reader of base64 of its own.
use sansfu::ortc::{SrtpCryptoSuite, SrtpParameters};
use serde_json::json;

use crate::choices::Choices;

const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Keys of about the right length, well written or not.
pub fn srtp_parameters(data: &[u8]) {
    let mut input = Choices::from_bytes(data);
    while !input.is_exhausted() {
        let suite = input.pick(&SrtpCryptoSuite::ALL);
        let wanted = suite.key_and_salt_len_bytes();
        let len = if input.percent(60) { wanted } else { input.range(0, 70) as usize };
        let key: Vec<u8> = (0..len).map(|_| input.u8()).collect();
        let mut text = base64(&key);
        let spoiled = input.percent(30);
        if spoiled {
            let at = input.range(0, text.len() as u32 + 1) as usize;
            text.insert(at, input.pick(&['*', '=', ' ', 'é', 'A']));
        }
        let name = if input.percent(10) { "AES_256" } else { suite.as_str() };
        let value = json!({ "cryptoSuite": name, "keyBase64": text });
        let read = SrtpParameters::from_json(&value);
        assert_eq!(read.is_ok(), name == suite.as_str() && !spoiled && len == wanted, "{value}: {read:?}");
        if let Ok(parameters) = read {
            assert_eq!(serde_json::to_value(&parameters).ok(), Some(value));
            assert!(!format!("{parameters:?}").contains(&text), "the key must not get into a log");
        }
    }
}

fn base64(bytes: &[u8]) -> String {
    let quads = bytes.chunks(3).flat_map(|chunk| {
        let word =
            chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        let digit = move |n: usize| {
            if n > chunk.len() { '=' } else { DIGITS[(word >> (18 - 6 * n) & 63) as usize].into() }
        };
        (0..4).map(digit)
    });
    quads.collect()
}
