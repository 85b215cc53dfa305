//! Reading the arguments of a request, with refusals that name the field. `null` counts as absent.
use std::str::FromStr;

use serde_json::{Map, Value};

use super::refusal::Refusal;

/// The `data` of a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a Map<String, Value>);

impl<'a> Fields<'a> {
    /// The value of a field, if it is there.
    pub(super) fn get(self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A field that must be there.
    pub(super) fn required(self, name: &str) -> Result<&'a Value, Refusal> {
        self.get(name).ok_or_else(|| Refusal::invalid(format!("{name} is missing")))
    }

    /// A text of at most `max_bytes`.
    pub(super) fn string(self, name: &str, max_bytes: usize) -> Result<&'a str, Refusal> {
        let text = self.required(name)?.as_str();
        let text = text.ok_or_else(|| Refusal::invalid(format!("{name} must be a string")))?;
        if text.len() > max_bytes {
            return Err(Refusal::invalid(format!("{name} must not be longer than {max_bytes} bytes")));
        }
        Ok(text)
    }

    /// A text of at most `max_bytes`; empty when absent.
    pub(super) fn optional_string(self, name: &str, max_bytes: usize) -> Result<&'a str, Refusal> {
        if self.get(name).is_none() { Ok("") } else { self.string(name, max_bytes) }
    }

    /// `true` or `false`; `false` when absent.
    pub(super) fn flag(self, name: &str) -> Result<bool, Refusal> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(Refusal::invalid(format!("{name} must be a boolean"))),
        }
    }

    /// An integer from `min` to 255.
    pub(super) fn byte(self, name: &str, min: u8) -> Result<u8, Refusal> {
        let number = self.required(name)?.as_u64().and_then(|number| u8::try_from(number).ok());
        let refusal = || Refusal::invalid(format!("{name} must be an integer from {min} to 255"));
        number.filter(|number| *number >= min).ok_or_else(refusal)
    }

    /// The id of an object, called `what`. A text that cannot be an id names nothing.
    pub(super) fn id<T: FromStr>(self, name: &str, what: &str) -> Result<T, Refusal> {
        self.string(name, usize::MAX)?.parse().map_err(|_| Refusal::not_found(what))
    }

    /// An object with its own fields.
    pub(super) fn object(self, name: &str) -> Result<Fields<'a>, Refusal> {
        match self.required(name)? {
            Value::Object(object) => Ok(Fields(object)),
            _ => Err(Refusal::invalid(format!("{name} must be an object"))),
        }
    }

    /// Refuses anything but an object or nothing.
    pub(super) fn expect_object_or_nothing(self, name: &str) -> Result<(), Refusal> {
        if self.get(name).is_none() { Ok(()) } else { self.object(name).map(drop) }
    }
}

/// Puts the name of the dictionary in front of what is wrong in it.
pub(super) fn within<T, E: Into<Refusal>>(name: &str, result: Result<T, E>) -> Result<T, Refusal> {
    result.map_err(|error| {
        let mut refusal = error.into();
        if !refusal.reason.starts_with(name) {
            refusal.reason = format!("{name}: {}", refusal.reason);
        }
        refusal
    })
}
