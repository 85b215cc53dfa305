use super::*;

const LIMIT: usize = 1 << 10;

#[test]
fn the_three_kinds_are_read() {
    let map = |value: Value| value.as_object().unwrap().clone();
    assert_eq!(
        parse(r#"{"request":true,"id":7,"method":"join","data":{"a":1}}"#, LIMIT),
        Ok(Frame::Request { id: 7, method: "join".into(), data: map(json!({"a": 1})) })
    );
    assert_eq!(
        parse(r#"{"request":true,"id":0,"method":"x","data":null}"#, LIMIT),
        Ok(Frame::Request { id: 0, method: "x".into(), data: Map::new() })
    );
    assert_eq!(
        parse(r#"{"notification":true,"method":"x"}"#, LIMIT),
        Ok(Frame::Notification { method: "x".into(), data: Map::new() })
    );
    assert_eq!(
        parse(r#"{"response":true,"id":3,"ok":true,"data":[]}"#, LIMIT),
        Ok(Frame::Response { id: 3, result: Ok(json!([])) })
    );
    let refused = |code, reason: &str| Frame::Response {
        id: 3,
        result: Err(ErrorResponse { code, reason: reason.into() }),
    };
    assert_eq!(
        parse(r#"{"response":true,"id":3,"ok":false,"errorCode":403,"errorReason":"no"}"#, LIMIT),
        Ok(refused(403, "no"))
    );
    assert_eq!(
        parse(r#"{"response":true,"id":3,"errorCode":"x","errorReason":1}"#, LIMIT),
        Ok(refused(0, ""))
    );
}

#[test]
fn malformed_frames_are_told_apart() {
    use MalformedReason::*;
    for (text, id, reason) in [
        ("", None, NotJson),
        ("{", None, NotJson),
        (r#"{"request":true,"id":1,"method":"x"} {}"#, None, NotJson),
        ("null", None, NotAnObject),
        ("1", None, NotAnObject),
        ("true", None, NotAnObject),
        (r#""request""#, None, NotAnObject),
        ("[]", None, NotAnObject),
        (r#"[{"request":true,"id":1,"method":"x"}]"#, None, NotAnObject),
        ("{}", None, Kind),
        (r#"{"id":1}"#, Some(1), Kind),
        (r#"{"id":1,"method":"x"}"#, Some(1), Kind),
        (r#"{"request":1,"id":1,"method":"x"}"#, Some(1), Kind),
        (r#"{"request":"true","id":1,"method":"x"}"#, Some(1), Kind),
        (r#"{"request":false,"id":2,"method":"x"}"#, Some(2), Kind),
        (r#"{"request":true,"method":"x"}"#, None, Id),
        (r#"{"request":true,"id":null,"method":"x"}"#, None, Id),
        (r#"{"request":true,"id":"1","method":"x"}"#, None, Id),
        (r#"{"request":true,"id":-1,"method":"x"}"#, None, Id),
        (r#"{"request":true,"id":1.5,"method":"x"}"#, None, Id),
        (r#"{"request":true,"id":[1],"method":"x"}"#, None, Id),
        (r#"{"request":true,"id":9007199254740992,"method":"x"}"#, None, Id),
        (r#"{"request":true,"id":1e400,"method":"x"}"#, None, NotJson),
        (r#"{"request":true,"id":9007199254740991}"#, Some(MAX_REQUEST_ID), Method),
        (r#"{"request":true,"id":1,"method":null}"#, Some(1), Method),
        (r#"{"request":true,"id":1,"method":7}"#, Some(1), Method),
        (r#"{"request":true,"id":1,"method":["join"]}"#, Some(1), Method),
        (r#"{"request":true,"id":1,"method":"x","data":[]}"#, Some(1), Data),
        (r#"{"request":true,"id":1,"method":"x","data":"{}"}"#, Some(1), Data),
        (r#"{"request":true,"id":1,"method":"x","data":0}"#, Some(1), Data),
        (r#"{"request":true,"id":1,"method":"x","data":false}"#, Some(1), Data),
        (r#"{"response":true}"#, None, Id),
        (r#"{"response":true,"id":"1","ok":true}"#, None, Id),
        (r#"{"response":true,"id":1,"ok":1}"#, None, Ok),
        (r#"{"response":true,"id":1,"ok":"true"}"#, None, Ok),
        (r#"{"notification":true}"#, None, Method),
        (r#"{"notification":true,"method":{}}"#, None, Method),
        (r#"{"notification":true,"id":1,"method":"x","data":[1]}"#, None, Data),
        ("{\"request\":true,\"id\":1,\"method\":\"\u{0}\"}", None, NotJson),
    ] {
        assert_eq!(parse(text, LIMIT), Err(Malformed { id, reason }), "{text}");
    }
}

#[test]
fn size_and_depth_are_bounded() {
    let frame = r#"{"notification":true,"method":"x"}"#;
    assert!(parse(frame, frame.len()).is_ok());
    let too_long = Malformed { id: None, reason: MalformedReason::TooLong };
    assert_eq!(parse(frame, frame.len() - 1), Err(too_long));
    let deep = format!(
        r#"{{"notification":true,"method":"x","data":{{"a":{}1{}}}}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    assert_eq!(parse(&deep, LIMIT), Err(Malformed { id: None, reason: MalformedReason::NotJson }));
}

#[test]
fn what_is_written_can_be_read() {
    assert!(matches!(parse(&request(1, "x", &json!({"a": 1})), LIMIT), Ok(Frame::Request { id: 1, .. })));
    assert!(matches!(parse(&response(2, &json!({})), LIMIT), Ok(Frame::Response { id: 2, result: Ok(_) })));
    assert!(matches!(parse(&notification("x", &json!({})), LIMIT), Ok(Frame::Notification { .. })));
    let error = ErrorResponse { code: 404, reason: "gone".into() };
    assert_eq!(
        parse(&error_response(3, 404, "gone"), LIMIT),
        Ok(Frame::Response { id: 3, result: Err(error) })
    );
    assert_eq!(
        serde_json::from_str::<Value>(&error_response(3, 404, "gone")).unwrap(),
        json!({"response": true, "id": 3, "ok": false, "errorCode": 404, "errorReason": "gone"})
    );
}
