//! Texts that must not be shown.
use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;

/// What a client proves itself with, or what that is compared with.
///
/// `Debug` does not show it, so that no log can; comparing two takes as long wherever they differ (only their lengths can be
/// told from the time).
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The text, for who has to send or to parse it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Secret) -> bool {
        verify_slices_are_equal(self.0.as_bytes(), other.0.as_bytes()).is_ok()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
