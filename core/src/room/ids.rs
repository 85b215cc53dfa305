//! What rooms and peers can be called.

/// The longest id of a room or a peer, in characters.
pub const MAX_ID_CHARS: usize = 64;

/// The rule of [`is_valid_id`], as the end of a sentence.
pub(crate) const ID_RULE: &str = "must have 1 to 64 characters, none of them a control character or a slash";

/// Whether a text can be the id of a room or a peer: 1 to [`MAX_ID_CHARS`] characters, none of them a control character, a
/// line or paragraph separator or `/`; and neither `.` nor `..`, which URLs swallow.
pub fn is_valid_id(id: &str) -> bool {
    let chars = id.chars().take(MAX_ID_CHARS + 1).count();
    let usable = |c: char| !c.is_control() && !matches!(c, '/' | '\u{2028}' | '\u{2029}');
    (1..=MAX_ID_CHARS).contains(&chars) && !matches!(id, "." | "..") && id.chars().all(usable)
}
