//! What the producers, and the consumers, of one transport share.

use crate::ortc::{MAX_IDENTIFIER_BYTES, OrtcError, RtpParameters};

/// The one CNAME of a transport's producers: the first non-empty one that a producer brings, or one made up for the
/// first producer that brings none. All of a client's streams come from one clock, which is what a CNAME says (RFC 3550
/// section 6.5.1), and a browser announces none with RIDs.
#[derive(Debug, Clone, Default)]
pub struct TransportCname {
    cname: Option<String>,
}

impl TransportCname {
    /// Gives a new producer the transport's CNAME, whatever it says itself. It sticks even if the producer then fails.
    pub fn settle(&mut self, parameters: &mut RtpParameters, random: impl FnMut() -> u32) {
        let given = parameters.rtcp.cname.clone().filter(|cname| !cname.is_empty());
        let cname = self.cname.get_or_insert_with(|| given.unwrap_or_else(|| random_cname(random)));
        parameters.rtcp.cname = Some(cname.clone());
    }

    /// Gives a producer that has none a CNAME of its own: for pipe transports, where each producer keeps its own.
    pub fn settle_apart(parameters: &mut RtpParameters, random: impl FnMut() -> u32) {
        Self::default().settle(parameters, random);
    }
}

/// Gives the consumers of one transport their MIDs: `0`, `1`, `2`, …
#[derive(Debug, Clone, Default)]
pub struct ConsumerMids {
    next: u64,
}

impl ConsumerMids {
    /// The MID of a new consumer: the one asked for, or the next number. One asked for neither advances the numbers nor
    /// is avoided by them. An error if it is empty or too long.
    pub fn allocate(&mut self, asked: Option<&str>) -> Result<String, OrtcError> {
        match asked {
            Some(mid) if mid.is_empty() || mid.len() > MAX_IDENTIFIER_BYTES => {
                Err(OrtcError::invalid(format!("mid must be a string of 1 to {MAX_IDENTIFIER_BYTES} bytes")))
            }
            Some(mid) => Ok(mid.to_owned()),
            None => {
                let mid = self.next.to_string();
                self.next = self.next.wrapping_add(1);
                Ok(mid)
            }
        }
    }
}

/// Eight digits and lower-case letters.
fn random_cname(mut random: impl FnMut() -> u32) -> String {
    (0..8).filter_map(|_| char::from_digit(random() % 36, 36)).collect()
}
