//! Lines of SDP, and what is wrong with them.

use std::fmt;

use super::MAX_BYTES;

/// Most characters of a line that an error repeats.
const QUOTED_CHARACTERS: usize = 60;

/// What is wrong with an SDP text, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SdpError {
    /// The line, from 1; 0 when it is about the text as a whole.
    pub line: usize,
    /// The beginning of that line.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

impl SdpError {
    /// Something wrong with the text as a whole.
    pub(crate) fn whole(reason: impl Into<String>) -> Self {
        SdpError { line: 0, text: String::new(), reason: reason.into() }
    }
}

impl fmt::Display for SdpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "SDP {}", self.reason),
            line => write!(f, "SDP line {line} {:?} {}", self.text, self.reason),
        }
    }
}

impl std::error::Error for SdpError {}

/// A line `x=value`, its end and white space before it cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// From 1.
    pub number: usize,
    /// The letter.
    pub letter: char,
    /// What follows the equals sign.
    pub value: &'a str,
}

impl<'a> Line<'a> {
    /// Name and value of an `a=` line; the value is empty when there is no colon.
    pub fn attribute(&self) -> (&'a str, &'a str) {
        self.value.split_once(':').unwrap_or((self.value, ""))
    }

    /// Something wrong with this line.
    pub fn error(&self, reason: impl Into<String>) -> SdpError {
        line_error(self.number, &format!("{}={}", self.letter, self.value), reason)
    }
}

/// The lines of a text: separated by CRLF or LF (many write the latter), empty ones left out.
pub(crate) fn lines(text: &str) -> Result<impl Iterator<Item = Result<Line<'_>, SdpError>>, SdpError> {
    if text.len() > MAX_BYTES {
        return Err(SdpError::whole(format!("has more than {MAX_BYTES} bytes")));
    }
    Ok(text
        .split('\n')
        .enumerate()
        .map(|(index, line)| (index + 1, line.trim_end()))
        .filter(|(_, line)| !line.is_empty())
        .map(|(number, line)| read_line(number, line)))
}

fn read_line(number: usize, line: &str) -> Result<Line<'_>, SdpError> {
    // Parts of lines are mirrored into answers: a lone CR or NUL must not get there.
    if line.bytes().any(|byte| byte < 0x20 && byte != b'\t') {
        return Err(line_error(number, line, "has a control character"));
    }
    match line.split_once('=') {
        Some((letter, value)) if letter.len() == 1 && letter.is_ascii() => {
            Ok(Line { number, letter: letter.chars().next().unwrap_or_default(), value })
        }
        _ => Err(line_error(number, line, "is not a letter, an equals sign and a value")),
    }
}

fn line_error(number: usize, line: &str, reason: impl Into<String>) -> SdpError {
    SdpError { line: number, text: line.chars().take(QUOTED_CHARACTERS).collect(), reason: reason.into() }
}
