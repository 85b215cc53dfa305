//! What a run was, as one number.
use std::fmt;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};

/// A hash over everything that went into the machines and came out of them, with the time of each.
///
/// Two runs with the same trace were the same to the last byte. SHA-256, so that the number means the same on every machine.
#[derive(Clone)]
pub struct Trace {
    hash: Context,
    records: u64,
}

impl Default for Trace {
    fn default() -> Self {
        Trace { hash: Context::new(&SHA256), records: 0 }
    }
}

impl Trace {
    /// Adds what happened `at` (since the start): what kind of thing, to or from whom, and its bytes.
    pub fn record(&mut self, at: Duration, kind: u8, who: u64, bytes: &[u8]) {
        self.records += 1;
        let mut head = [0; 25];
        head[0] = kind;
        head[1..9].copy_from_slice(&(at.as_nanos() as u64).to_be_bytes());
        head[9..17].copy_from_slice(&who.to_be_bytes());
        head[17..].copy_from_slice(&(bytes.len() as u64).to_be_bytes());
        self.hash.update(&head);
        self.hash.update(bytes);
    }

    /// How much has been recorded.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The first 64 bits of the hash so far.
    pub fn value(&self) -> u64 {
        let digest = self.hash.clone().finish();
        digest.as_ref().iter().take(8).fold(0, |value, byte| value << 8 | u64::from(*byte))
    }
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trace").field("records", &self.records).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_kind_and_bytes_matter() {
        let value = |at, kind, bytes: &[u8]| {
            let mut trace = Trace::default();
            trace.record(Duration::from_nanos(at), kind, 1, bytes);
            trace.value()
        };
        let one = value(1, 2, b"x");
        assert_eq!(one, value(1, 2, b"x"));
        assert!(![value(2, 2, b"x"), value(1, 3, b"x"), value(1, 2, b"y"), value(1, 2, b"")].contains(&one));
    }
}
