//! Reading JSON of strangers into typed dictionaries, with errors that name the field.
//!
//! A [`Node`] is a JSON value together with the way to it. The way is a chain of borrowed steps, so it costs nothing
//! until an error has to be written. `null` counts as absent everywhere, as it does for optional fields in mediasoup.

use std::fmt::Write;

use serde_json::Value;

use super::OrtcError;

/// Most bytes taken for a string that is not limited more narrowly by a standard.
pub(super) const MAX_STRING_BYTES: usize = 1024;

/// A JSON value, or the absence of one, at a known place.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    value: Option<&'a Value>,
    parent: Option<&'a Node<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root(&'a str),
    Member(&'a str),
    Index(usize),
}

impl<'a> Node<'a> {
    /// The outermost value; `label` names it in errors about the value as a whole.
    pub(super) fn root(label: &'a str, value: &'a Value) -> Self {
        Self { value: Some(value).filter(|value| !value.is_null()), parent: None, step: Step::Root(label) }
    }

    /// The member of an object; absent when there is none, when it is `null`, or when this is not an object.
    pub(super) fn member<'n>(&'n self, name: &'n str) -> Node<'n> {
        let value = self.value.and_then(|value| value.get(name)).filter(|value| !value.is_null());
        Node { value, parent: Some(self), step: Step::Member(name) }
    }

    /// The raw value, if present.
    pub(super) fn value(&self) -> Option<&'a Value> {
        self.value
    }

    /// Whether nothing, or `null`, is here.
    pub(super) fn is_absent(&self) -> bool {
        self.value.is_none()
    }

    /// Refuses anything but an object.
    pub(super) fn expect_object(&self) -> Result<(), OrtcError> {
        match self.value {
            Some(Value::Object(_)) => Ok(()),
            Some(_) => Err(self.error("must be an object")),
            None => Err(self.error("is missing")),
        }
    }

    /// A string of at most `max_bytes`.
    pub(super) fn string(&self, max_bytes: usize) -> Result<String, OrtcError> {
        match self.value {
            Some(Value::String(text)) if text.len() <= max_bytes => Ok(text.clone()),
            Some(Value::String(_)) => Err(self.error(&format!("must not be longer than {max_bytes} bytes"))),
            Some(_) => Err(self.error("must be a string")),
            None => Err(self.error("is missing")),
        }
    }

    /// A string of at most `max_bytes`, or nothing.
    pub(super) fn optional_string(&self, max_bytes: usize) -> Result<Option<String>, OrtcError> {
        if self.is_absent() { Ok(None) } else { self.string(max_bytes).map(Some) }
    }

    /// A boolean; `false` when absent.
    pub(super) fn boolean_or_false(&self) -> Result<bool, OrtcError> {
        match self.value {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(self.error("must be a boolean")),
        }
    }

    /// An integer from `min` to `max`. `5.0` is the integer 5, since JSON has one kind of number.
    pub(super) fn integer(&self, min: u64, max: u64) -> Result<u64, OrtcError> {
        let Some(value) = self.value else { return Err(self.error("is missing")) };
        match integral(value) {
            Some(number) if (min..=max).contains(&number) => Ok(number),
            _ if min == 1 && max >= u64::from(u32::MAX) => Err(self.error("must be a positive integer")),
            _ => Err(self.error(&format!("must be an integer from {min} to {max}"))),
        }
    }

    /// An integer from `min` to `max`, or nothing.
    pub(super) fn optional_integer(&self, min: u64, max: u64) -> Result<Option<u64>, OrtcError> {
        if self.is_absent() { Ok(None) } else { self.integer(min, max).map(Some) }
    }

    /// An integer that fits a byte, from `min` to `max`.
    pub(super) fn byte(&self, min: u8, max: u8) -> Result<u8, OrtcError> {
        let number = self.integer(min.into(), max.into())?;
        u8::try_from(number).map_err(|_| self.error("is out of range"))
    }

    /// An integer that fits 32 bits, from `min` up.
    pub(super) fn word(&self, min: u32) -> Result<u32, OrtcError> {
        let number = self.integer(min.into(), u32::MAX.into())?;
        u32::try_from(number).map_err(|_| self.error("is out of range"))
    }

    /// A list of at most `max_len` items; empty when absent.
    pub(super) fn list<T>(
        &self,
        max_len: usize,
        mut read: impl FnMut(&Node<'_>) -> Result<T, OrtcError>,
    ) -> Result<Vec<T>, OrtcError> {
        let items = match self.value {
            None => return Ok(Vec::new()),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(self.error("must be an array")),
        };
        if items.len() > max_len {
            return Err(self.error(&format!("must not have more than {max_len} items")));
        }
        let item = |(index, value): (usize, &Value)| {
            let value = Some(value).filter(|value| !value.is_null());
            read(&Node { value, parent: Some(self), step: Step::Index(index) })
        };
        items.iter().enumerate().map(item).collect()
    }

    /// A list that must be there.
    pub(super) fn required_list<T>(
        &self,
        max_len: usize,
        read: impl FnMut(&Node<'_>) -> Result<T, OrtcError>,
    ) -> Result<Vec<T>, OrtcError> {
        if self.is_absent() { Err(self.error("is missing")) } else { self.list(max_len, read) }
    }

    /// An error about this place: its path, then `problem`.
    pub(super) fn error(&self, problem: &str) -> OrtcError {
        let mut path = String::new();
        self.write_path(&mut path);
        OrtcError::invalid(format!("{path} {problem}"))
    }

    fn write_path(&self, path: &mut String) {
        // A member of the outermost object needs no word about that object; an item of an outermost list does.
        if let Some(parent) = self.parent
            && (parent.parent.is_some() || matches!(self.step, Step::Index(_)))
        {
            parent.write_path(path);
        }
        // Writing to a String cannot fail.
        let _ = match self.step {
            Step::Root(label) => write!(path, "{label}"),
            Step::Member(name) if path.is_empty() => write!(path, "{name}"),
            Step::Member(name) => write!(path, ".{name}"),
            Step::Index(index) => write!(path, "[{index}]"),
        };
    }
}

/// The value as an unsigned integer, if it is one.
fn integral(value: &Value) -> Option<u64> {
    if let Some(number) = value.as_u64() {
        return Some(number);
    }
    let number = value.as_f64()?;
    // Above 2^53 a double no longer tells neighbouring integers apart.
    let exact = number.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&number);
    exact.then_some(number as u64)
}

/// Gives a dictionary its `from_json` and the `TryFrom<Value>` that its `Deserialize` goes through, so that there is
/// one reading and one set of errors for both.
macro_rules! json_dictionary {
    ($type:ty, $label:literal) => {
        impl $type {
            /// Reads and normalises the dictionary as a client sends it; the error names the first bad field.
            pub fn from_json(value: &serde_json::Value) -> Result<Self, $crate::ortc::OrtcError> {
                Self::read(&$crate::ortc::json::Node::root($label, value))
            }
        }

        impl TryFrom<serde_json::Value> for $type {
            type Error = $crate::ortc::OrtcError;

            fn try_from(value: serde_json::Value) -> Result<Self, Self::Error> {
                Self::from_json(&value)
            }
        }
    };
}
pub(super) use json_dictionary;
