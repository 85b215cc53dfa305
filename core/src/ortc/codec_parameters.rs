//! What capabilities and parameters of a codec have in common: its format parameters and its RTCP feedback.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use super::OrtcError;
use super::json::{MAX_STRING_BYTES, Node};

/// Most format parameters of one codec.
pub const MAX_FORMAT_PARAMETERS: usize = 64;
/// Most feedback entries of one codec.
pub const MAX_RTCP_FEEDBACK: usize = 64;

/// The value of a format parameter: a number or a string, and `1` is not `"1"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ParameterValue {
    /// A number. An integral one is always held as an integer, so `1.0` equals `1`.
    Number(Number),
    /// A string.
    String(String),
}

impl ParameterValue {
    /// The number, if it is a non-negative integer.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Number(number) => number.as_u64(),
            Self::String(_) => None,
        }
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Number(_) => None,
        }
    }

    fn read(node: &Node<'_>) -> Result<Self, OrtcError> {
        match node.value() {
            Some(Value::Number(number)) => Ok(Self::Number(canonical(number))),
            Some(Value::String(_)) => Ok(Self::String(node.string(MAX_STRING_BYTES)?)),
            _ => Err(node.error("must be a string or a number")),
        }
    }
}

impl From<u64> for ParameterValue {
    fn from(number: u64) -> Self {
        Self::Number(number.into())
    }
}

impl From<&str> for ParameterValue {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for ParameterValue {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

/// The format parameters of a codec: what SDP writes in `a=fmtp`, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CodecParameters(pub BTreeMap<String, ParameterValue>);

impl CodecParameters {
    /// Sets a parameter; a former value is replaced.
    pub fn insert(&mut self, name: &str, value: impl Into<ParameterValue>) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// The value of a parameter.
    pub fn get(&self, name: &str) -> Option<&ParameterValue> {
        self.0.get(name)
    }

    /// `apt`: the payload type that an RTX codec retransmits (RFC 4588 section 8.1), if it is one.
    pub fn apt(&self) -> Option<u8> {
        self.get("apt").and_then(ParameterValue::as_u64).and_then(|number| u8::try_from(number).ok())
    }

    /// Parameters by name, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ParameterValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn read(node: &Node<'_>) -> Result<Self, OrtcError> {
        let members = match node.value() {
            None => return Ok(Self::default()),
            Some(Value::Object(members)) => members,
            Some(_) => return Err(node.error("must be an object")),
        };
        if members.len() > MAX_FORMAT_PARAMETERS {
            return Err(node.error(&format!("must not have more than {MAX_FORMAT_PARAMETERS} members")));
        }
        let mut parameters = BTreeMap::new();
        for name in members.keys() {
            let member = node.member(name);
            if name.len() > MAX_STRING_BYTES {
                return Err(node.error("has a member with too long a name"));
            }
            let value = ParameterValue::read(&member)?;
            if name == "apt" && value.as_u64().is_none() {
                return Err(member.error("must be a payload type number"));
            }
            parameters.insert(name.clone(), value);
        }
        Ok(Self(parameters))
    }
}

impl<const N: usize> From<[(&str, ParameterValue); N]> for CodecParameters {
    fn from(members: [(&str, ParameterValue); N]) -> Self {
        Self(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

/// One kind of RTCP feedback of a codec: what SDP writes in `a=rtcp-fb` (RFC 4585 section 4.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RtcpFeedback {
    /// For example `nack`, `ccm`, `goog-remb` or `transport-cc`.
    pub r#type: String,
    /// For example `pli` or `fir`; empty when the type stands alone.
    #[serde(default)]
    pub parameter: String,
}

impl RtcpFeedback {
    /// Feedback of that type and parameter (empty: none).
    pub fn new(feedback_type: &str, parameter: &str) -> Self {
        Self { r#type: feedback_type.to_owned(), parameter: parameter.to_owned() }
    }

    /// Whether it is exactly that type and parameter.
    pub fn is(&self, feedback_type: &str, parameter: &str) -> bool {
        self.r#type == feedback_type && self.parameter == parameter
    }

    pub(super) fn read(node: &Node<'_>) -> Result<Self, OrtcError> {
        node.expect_object()?;
        Ok(Self {
            r#type: node.member("type").string(MAX_STRING_BYTES)?,
            parameter: node.member("parameter").optional_string(MAX_STRING_BYTES)?.unwrap_or_default(),
        })
    }

    pub(super) fn read_list(node: &Node<'_>) -> Result<Vec<Self>, OrtcError> {
        node.list(MAX_RTCP_FEEDBACK, Self::read)
    }
}

/// An integral double as the integer that it is, since JSON does not tell them apart.
fn canonical(number: &Number) -> Number {
    match number.as_f64() {
        Some(double)
            if number.is_f64() && double.fract() == 0.0 && double.abs() < 9_007_199_254_740_992.0 =>
        {
            Number::from(double as i64)
        }
        _ => number.clone(),
    }
}
