//! The names of the objects of the model.
//!
//! In Rust an id is a typed handle; in JSON it is an opaque string of 16 (router) or 32 hexadecimal digits. A handle stays
//! unique in its `Sfu` after its object is gone. The kinds are told apart by type, so a consumer's id cannot be given where a
//! producer's is wanted.
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::arena::Id;

/// Marks the arenas of the object model; see [`crate::arena::Arena`].
pub mod tag {
    /// Routers of an `Sfu`.
    #[derive(Debug)]
    pub enum Router {}
    /// Transports of a router.
    #[derive(Debug)]
    pub enum Transport {}
    /// Producers of a router.
    #[derive(Debug)]
    pub enum Producer {}
    /// Consumers of a router.
    #[derive(Debug)]
    pub enum Consumer {}
}

/// A string that is not an id of the wanted kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseIdError;

impl fmt::Display for ParseIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an id: hexadecimal digits expected")
    }
}

impl std::error::Error for ParseIdError {}

/// Names a router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouterId(pub(crate) Id<tag::Router>);

impl fmt::Display for RouterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0.to_bits())
    }
}

impl FromStr for RouterId {
    type Err = ParseIdError;
    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        Ok(RouterId(Id::from_bits(parse_hex(text)?)))
    }
}

fn parse_hex(text: &str) -> Result<u64, ParseIdError> {
    // `from_str_radix` alone would take signs and other lengths: one object, one spelling.
    if text.len() != 16 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(ParseIdError);
    }
    u64::from_str_radix(text, 16).map_err(|_| ParseIdError)
}

macro_rules! object_id {
    ($(#[$doc:meta])* $name:ident, $tag:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            pub(crate) router: RouterId,
            pub(crate) own: Id<tag::$tag>,
        }

        impl $name {
            /// The router in which the object lives.
            pub const fn router(self) -> RouterId {
                self.router
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{:016x}", self.router, self.own.to_bits())
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let (router, own) = text.split_at_checked(16).ok_or(ParseIdError)?;
                Ok($name { router: router.parse()?, own: Id::from_bits(parse_hex(own)?) })
            }
        }
    };
}

object_id! {
    /// Names a transport.
    TransportId, Transport
}
object_id! {
    /// Names a producer.
    ProducerId, Producer
}
object_id! {
    /// Names a consumer.
    ConsumerId, Consumer
}

macro_rules! string_in_json {
    ($($name:ident)*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

string_in_json!(RouterId TransportId ProducerId ConsumerId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_opaque_strings_in_json() {
        let id = ProducerId { router: RouterId(Id::from_bits(7)), own: Id::from_bits((3 << 32) | 9) };
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, "\"00000000000000070000000300000009\"");
        assert_eq!(serde_json::from_str::<ProducerId>(&json).unwrap(), id);
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in ["", "7", "000000000000000000000000000000+7", "0000000000000000000000000000000A", "é"] {
            assert_eq!(text.parse::<ProducerId>(), Err(ParseIdError), "{text}");
        }
        assert!("00000000000000000000000000000000".parse::<RouterId>().is_err());
    }
}
