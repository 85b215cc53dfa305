//! Raw JSON as every dictionary: what is read is written so that it is read the same again, and what is refused has a field named.
use std::fmt::Debug;

use sansfu::event::Event;
use sansfu::id::{ConsumerId, ProducerId, RouterId, TransportId};
use sansfu::model::{
    ConsumerData, ConsumerOptions, ProducerData, ProducerOptions, RouterData, RouterOptions,
    WebRtcTransportData, WebRtcTransportOptions,
};
use sansfu::ortc::{
    DtlsFingerprint, DtlsParameters, IceCandidate, IceParameters, OrtcError, RtpCapabilities,
    RtpCodecCapability, RtpCodecParameters, RtpEncodingParameters, RtpHeaderExtension,
    RtpHeaderExtensionParameters, RtpParameters, SctpParameters, SctpStreamParameters, SrtpParameters,
    media_codecs_from_json,
};
use sansfu::sfu::Request;
use sansfu::stats::{RtpStreamStats, SfuStats, WebRtcTransportStats};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads the text as everything that there is.
pub fn json(data: &[u8]) {
    let Ok(value) = serde_json::from_slice::<Value>(data) else { return };
    dictionary(&value, RtpParameters::from_json);
    dictionary(&value, RtpCodecParameters::from_json);
    dictionary(&value, RtpEncodingParameters::from_json);
    dictionary(&value, RtpHeaderExtensionParameters::from_json);
    dictionary(&value, RtpCapabilities::from_json);
    dictionary(&value, RtpCodecCapability::from_json);
    dictionary(&value, RtpHeaderExtension::from_json);
    dictionary(&value, DtlsParameters::from_json);
    dictionary(&value, DtlsFingerprint::from_json);
    dictionary(&value, SctpStreamParameters::from_json);
    dictionary(&value, SrtpParameters::from_json);
    round_trip::<Vec<RtpCodecCapability>>(&value, media_codecs_from_json(&value).ok());
    derived::<IceParameters>(&value);
    derived::<IceCandidate>(&value);
    derived::<SctpParameters>(&value);
    derived::<RouterOptions>(&value);
    derived::<WebRtcTransportOptions>(&value);
    derived::<ProducerOptions>(&value);
    derived::<ConsumerOptions>(&value);
    derived::<RouterData>(&value);
    derived::<WebRtcTransportData>(&value);
    derived::<ProducerData>(&value);
    derived::<ConsumerData>(&value);
    derived::<(RouterId, TransportId, ProducerId, ConsumerId)>(&value);
    derived::<RtpStreamStats>(&value);
    derived::<WebRtcTransportStats>(&value);
    derived::<SfuStats>(&value);
    derived::<Event>(&value);
    derived::<Request>(&value);
}

/// A dictionary that is read by hand: both ways to read it agree, and a refusal begins with the place of the fault.
fn dictionary<T: Serialize + DeserializeOwned + PartialEq + Debug>(
    value: &Value,
    read: impl Fn(&Value) -> Result<T, OrtcError>,
) {
    let read = read(value);
    let by_serde = serde_json::from_value::<T>(value.clone());
    assert_eq!(read.as_ref().ok(), by_serde.as_ref().ok());
    if let Err(error) = &read {
        let field = error.message.split(' ').next().unwrap_or_default();
        let is_field = |byte: u8| byte.is_ascii_alphanumeric() || b".[]_-".contains(&byte);
        assert!(!field.is_empty(), "{error}");
        // Names of format parameters are the client's.
        assert!(field.contains("parameters") || field.bytes().all(is_field), "{error}");
        assert!(error.message.len() > field.len() + 3, "and says what is wrong with it: {error}");
    }
    if let Ok(read) = &read {
        let written = serde_json::to_value(read).unwrap();
        assert_eq!(serde_json::from_value::<T>(written).as_ref().ok(), Some(read));
    }
    round_trip(value, read.ok());
}

fn derived<T: Serialize + DeserializeOwned>(value: &Value) {
    round_trip::<T>(value, serde_json::from_value(value.clone()).ok());
}

/// Written, read and written again it is the same.
fn round_trip<T: Serialize + DeserializeOwned>(value: &Value, read: Option<T>) {
    let Some(read) = read else { return };
    let written = serde_json::to_value(&read).unwrap();
    let again: T = serde_json::from_value(written.clone())
        .unwrap_or_else(|error| panic!("{error}: {value} was written as {written}"));
    assert_eq!(serde_json::to_value(&again).unwrap(), written);
}
