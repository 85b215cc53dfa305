//! What is refused when reading, and how it is said.

use super::*;

/// Every wrong place is named; nothing panics.
#[test]
fn errors_name_the_field() {
    let rtp = |value: Value| RtpParameters::from_json(&value).map(|_| ());
    let caps = |value: Value| RtpCapabilities::from_json(&value).map(|_| ());
    let codec_with = |member: &str, value: Value| {
        let mut bad = codec("audio/opus", 96, json!({}));
        bad[member] = value;
        json!({ "codecs": [codec("audio/opus", 97, json!({})), bad] })
    };
    for (value, message) in [
        (json!(null), "rtpParameters is missing"),
        (json!([]), "rtpParameters must be an object"),
        (json!("x"), "rtpParameters must be an object"),
        (json!({}), "codecs is missing"),
        (json!({ "codecs": {} }), "codecs must be an array"),
        (json!({ "codecs": [5] }), "codecs[0] must be an object"),
        (json!({ "codecs": [null] }), "codecs[0] is missing"),
        (codec_with("clockRate", json!("90000")), "codecs[1].clockRate must be a positive integer"),
        (codec_with("clockRate", json!(0)), "codecs[1].clockRate must be a positive integer"),
        (codec_with("clockRate", json!(1e300)), "codecs[1].clockRate must be a positive integer"),
        (codec_with("mimeType", json!("opus")), "codecs[1].mimeType must be audio/… or video/…"),
        (codec_with("mimeType", json!("text/plain")), "codecs[1].mimeType must be audio/… or video/…"),
        (codec_with("mimeType", json!("audio/")), "codecs[1].mimeType must be audio/… or video/…"),
        (codec_with("mimeType", json!(5)), "codecs[1].mimeType must be a string"),
        (codec_with("payloadType", json!(128)), "codecs[1].payloadType must be an integer from 0 to 127"),
        (codec_with("payloadType", json!(1.5)), "codecs[1].payloadType must be an integer from 0 to 127"),
        (codec_with("payloadType", json!(null)), "codecs[1].payloadType is missing"),
        (codec_with("channels", json!(0)), "codecs[1].channels must be an integer from 1 to 255"),
        (codec_with("parameters", json!({ "a": [] })), "codecs[1].parameters.a must be a string or a number"),
        (codec_with("rtcpFeedback", json!([{}])), "codecs[1].rtcpFeedback[0].type is missing"),
        (json!({ "codecs": [], "mid": 0 }), "mid must be a string"),
        (json!({ "codecs": [], "mid": "m".repeat(256) }), "mid must not be longer than 255 bytes"),
        (json!({ "codecs": [], "rtcp": [] }), "rtcp must be an object"),
        (json!({ "codecs": [], "rtcp": { "cname": 5 } }), "rtcp.cname must be a string"),
        (json!({ "codecs": [], "rtcp": { "reducedSize": 1 } }), "rtcp.reducedSize must be a boolean"),
        (json!({ "codecs": [], "headerExtensions": [{ "id": 1 }] }), "headerExtensions[0].uri is missing"),
        (
            json!({ "codecs": [], "headerExtensions": [{ "uri": "", "id": 1 }] }),
            "headerExtensions[0].uri must not be empty",
        ),
        (
            json!({ "codecs": [], "headerExtensions": [{ "uri": "u", "id": 256 }] }),
            "headerExtensions[0].id must be an integer from 0 to 255",
        ),
        (
            json!({ "codecs": [], "headerExtensions": [{ "uri": "u", "id": 1, "encrypt": 1 }] }),
            "headerExtensions[0].encrypt must be a boolean",
        ),
        (
            json!({ "codecs": [], "encodings": [{ "ssrc": "1" }] }),
            "encodings[0].ssrc must be an integer from 0 to 4294967295",
        ),
        (
            json!({ "codecs": [], "encodings": [{ "ssrc": 4_294_967_296_u64 }] }),
            "encodings[0].ssrc must be an integer from 0 to 4294967295",
        ),
        (json!({ "codecs": [], "encodings": [{ "rtx": 5 }] }), "encodings[0].rtx must be an object"),
        (json!({ "codecs": [], "encodings": [{ "rtx": {} }] }), "encodings[0].rtx.ssrc is missing"),
        (json!({ "codecs": [], "encodings": [{ "rid": 5 }] }), "encodings[0].rid must be a string"),
        (
            json!({ "codecs": [], "encodings": [{ "maxBitrate": -1 }] }),
            "encodings[0].maxBitrate must be a non-negative number",
        ),
        (
            json!({ "codecs": [], "encodings": [{ "scalabilityMode": 5 }] }),
            "encodings[0].scalabilityMode must be a string",
        ),
        (
            json!({ "codecs": [], "encodings": vec![json!({}); MAX_ENCODINGS + 1] }),
            "encodings must not have more than 16 items",
        ),
    ] {
        assert_eq!(rtp(value).unwrap_err().message, message);
    }
    for (value, message) in [
        (json!(5), "rtpCapabilities must be an object"),
        (json!({ "codecs": "x" }), "codecs must be an array"),
        (json!({ "codecs": vec![json!({}); MAX_CODECS + 1] }), "codecs must not have more than 256 items"),
        (
            json!({ "headerExtensions": [{ "uri": "u", "preferredId": 1 }] }),
            "headerExtensions[0].kind is missing",
        ),
        (
            json!({ "headerExtensions": [{ "kind": "x", "uri": "u", "preferredId": 1 }] }),
            "headerExtensions[0].kind must be 'audio' or 'video'",
        ),
        (
            json!({ "headerExtensions": [{ "kind": "audio", "uri": "u", "preferredId": 0 }] }),
            "headerExtensions[0].preferredId must be an integer from 1 to 255",
        ),
        (
            json!({ "headerExtensions": [{ "kind": "audio", "uri": "u", "preferredId": 1, "direction": "up" }] }),
            "headerExtensions[0].direction must be 'sendrecv', 'sendonly', 'recvonly' or 'inactive'",
        ),
    ] {
        assert_eq!(caps(value).unwrap_err().message, message);
    }
    assert_eq!(capabilities(json!({})), RtpCapabilities::default());
}

#[test]
fn serde_reads_the_same_way() {
    let error = serde_json::from_value::<RtpParameters>(json!({ "codecs": [{}] })).unwrap_err();
    assert!(error.to_string().contains("codecs[0].mimeType is missing"), "{error}");
    #[derive(Debug, serde::Deserialize)]
    struct Request {
        #[serde(rename = "rtpParameters")]
        _parameters: RtpParameters,
    }
    let error = serde_json::from_str::<Request>(r#"{"rtpParameters":{"codecs":[],"mid":5}}"#).unwrap_err();
    assert!(error.to_string().contains("mid must be a string"), "{error}");
}

#[test]
fn limits_hold() {
    let format = |count: usize| {
        let members: serde_json::Map<String, Value> = (0..count).map(|i| (i.to_string(), json!(1))).collect();
        RtpParameters::from_json(&json!({ "codecs": [codec("video/VP8", 96, Value::Object(members))] }))
    };
    assert!(format(MAX_FORMAT_PARAMETERS).is_ok());
    assert_refused(
        format(MAX_FORMAT_PARAMETERS + 1),
        INVALID,
        "codecs[0].parameters must not have more than 64",
    );
    let other = |count: usize| {
        let members: serde_json::Map<String, Value> = (0..count).map(|i| (i.to_string(), json!(1))).collect();
        RtpParameters::from_json(&json!({ "codecs": [], "encodings": [members] }))
    };
    assert!(other(MAX_OTHER_MEMBERS).is_ok());
    assert_refused(other(MAX_OTHER_MEMBERS + 1), INVALID, "encodings[0] must not have more than 32");
    let long = json!({ "codecs": [codec("video/VP8", 96, json!({ "x": "y".repeat(1025) }))] });
    assert_refused(RtpParameters::from_json(&long), INVALID, "codecs[0].parameters.x must not be longer");
    let long = json!({ "codecs": [codec("video/VP8", 96, json!({ "x".repeat(1025): 1 }))] });
    assert_refused(RtpParameters::from_json(&long), INVALID, "too long a name");
}

#[test]
fn mime_types_ignore_case_and_keep_spelling() {
    let mime_type = MimeType::new("Video/h264").unwrap();
    assert_eq!(mime_type, MimeType::new("video/H264").unwrap());
    assert_eq!((mime_type.as_str(), mime_type.subtype()), ("Video/h264", "h264"));
    assert_eq!((mime_type.kind(), mime_type.codec()), (MediaKind::Video, Codec::H264));
    assert_eq!(MimeType::new("audio/H264").unwrap().codec(), Codec::Other);
    assert!(MimeType::new("AUDIO/RTX").unwrap().is_rtx());
    assert!(MimeType::new(&format!("audio/{}", "x".repeat(122))).is_err());
}

#[test]
fn parameter_values_keep_number_and_string_apart() {
    let read = parameters(
        json!({ "codecs": [codec("video/VP8", 96, json!({ "a": 1.0, "b": "1", "c": 1.5, "d": -2 }))] }),
    );
    let format = &read.codecs[0].parameters;
    assert_eq!(format.get("a"), Some(&1.into()));
    assert_ne!(format.get("a"), format.get("b"));
    assert_eq!(to_json(format), json!({ "a": 1, "b": "1", "c": 1.5, "d": -2 }));
    assert_eq!(format.get("d").unwrap().as_u64(), None);
}

#[test]
fn dtls_parameters_are_checked() {
    let value = ["AB"; 32].join(":");
    let with = |algorithm: &str, value: &str| {
        DtlsParameters::from_json(&json!({ "fingerprints": [{ "algorithm": algorithm, "value": value }] }))
    };
    let parsed = with("SHA-256", &value.to_lowercase()).unwrap();
    assert_eq!(parsed.role, DtlsRole::Auto);
    assert_eq!(parsed.fingerprints[0].value, [0xab; 32]);
    assert_eq!(parsed.fingerprints[0].value_string(), value);
    for (algorithm, value, part) in [
        ("md5", value.as_str(), "fingerprints[0].algorithm"),
        ("sha-512", &value, "fingerprints[0].value must be 64 pairs"),
        ("sha-256", &value.replace(':', ""), "fingerprints[0].value"),
        ("sha-256", &value.replacen("AB", "+B", 1), "fingerprints[0].value"),
        ("sha-256", &value.replacen(':', "A", 1), "fingerprints[0].value"),
        ("sha-256", &format!("é{}", &value[2..]), "fingerprints[0].value"),
        ("sha-256", "", "fingerprints[0].value"),
    ] {
        assert_refused(with(algorithm, value), INVALID, part);
    }
    for (value, part) in [
        (json!({}), "fingerprints is missing"),
        (json!({ "fingerprints": [] }), "fingerprints must not be empty"),
        (json!({ "role": "actpass", "fingerprints": [] }), "role must be"),
        (json!({ "fingerprints": {} }), "fingerprints must be an array"),
        (json!(7), "dtlsParameters must be an object"),
    ] {
        assert_refused(DtlsParameters::from_json(&value), INVALID, part);
    }
}

#[test]
fn srtp_parameters_are_checked() {
    // 28 bytes of zeros.
    let key = format!("{}A==", "A".repeat(37));
    let good = json!({ "cryptoSuite": "AEAD_AES_128_GCM", "keyBase64": key });
    let parsed = SrtpParameters::from_json(&good).unwrap();
    assert_eq!(to_json(&parsed), good);
    assert!(!format!("{parsed:?}").contains("AAAA"), "a key is not for logs");
    for (suite, key, part) in [
        ("AEAD_AES_256_GCM", key.as_str(), "keyBase64 must be 44 bytes"),
        ("NULL", &key, "cryptoSuite"),
        ("AEAD_AES_128_GCM", "", "keyBase64"),
        ("AEAD_AES_128_GCM", &key.replace('A', "é"), "keyBase64"),
        ("AEAD_AES_128_GCM", &key[..38], "keyBase64"),
    ] {
        assert_refused(
            SrtpParameters::from_json(&json!({ "cryptoSuite": suite, "keyBase64": key })),
            INVALID,
            part,
        );
    }
    for suite in SrtpCryptoSuite::ALL {
        assert_eq!(to_json(&suite), json!(suite.as_str()));
    }
}

#[test]
fn header_extension_uris_are_told_apart() {
    for (index, uri) in HeaderExtensionUri::ALL.into_iter().enumerate() {
        assert_eq!(HeaderExtensionUri::parse(uri.as_str()), Some(uri));
        assert_eq!(usize::from(uri.router_id()), index + 1);
    }
    assert_eq!(HeaderExtensionUri::parse("URN:ietf:params:rtp-hdrext:sdes:mid"), None);
}

#[test]
fn values_of_every_json_type_everywhere_never_panic() {
    let odd = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1.5),
        json!(u64::MAX),
        json!(1e308),
        json!(""),
        json!("é\u{0}"),
        json!([]),
        json!([null]),
        json!({}),
        json!({ "": {} }),
    ];
    let base = golden("video-vp8-simulcast3")["produce"]["rtpParameters"].clone();
    let mut accepted = 0;
    for pointer in pointers(&base, String::new()) {
        for value in &odd {
            let mut changed = base.clone();
            *changed.pointer_mut(&pointer).unwrap() = value.clone();
            match RtpParameters::from_json(&changed) {
                Ok(read) => {
                    accepted += 1;
                    assert_eq!(parameters(to_json(&read)), read, "reading is idempotent");
                    let _ = negotiate_producer(MediaKind::Video, read, &golden_router(), random());
                }
                Err(error) => assert_eq!(error.kind, INVALID),
            }
        }
    }
    assert!(accepted > 0);
}

/// JSON pointers of the value and all values inside.
fn pointers(value: &Value, at: String) -> Vec<String> {
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(items) => {
            items.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect()
        }
        _ => Vec::new(),
    };
    let below = inner.into_iter().flat_map(|(name, value)| pointers(value, format!("{at}/{name}")));
    std::iter::once(at.clone()).chain(below).collect()
}
