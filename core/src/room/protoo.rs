//! The protoo envelope (protoo 4): requests in both directions, their responses, and notifications, one JSON object a frame.
use std::fmt;

use serde_json::{Map, Value, json};

/// The largest request id: what a JavaScript number counts exactly, 2^53 - 1.
pub const MAX_REQUEST_ID: u64 = (1 << 53) - 1;

/// A well-formed frame.
#[derive(Debug, Clone, PartialEq)]
pub enum Frame {
    /// Wants one response with the same id.
    Request {
        /// Chosen by the sender.
        id: u64,
        /// What is asked for.
        method: String,
        /// Its arguments; empty when absent.
        data: Map<String, Value>,
    },
    /// Answers a request.
    Response {
        /// Of the request.
        id: u64,
        /// The data, or why not.
        result: Result<Value, ErrorResponse>,
    },
    /// Tells something.
    Notification {
        /// What it is about.
        method: String,
        /// Its arguments; empty when absent.
        data: Map<String, Value>,
    },
}

/// A response that says no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorResponse {
    /// Like an HTTP status, by habit; 0 if none is given.
    pub code: u64,
    /// For people.
    pub reason: String,
}

/// A frame that is none of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// The id of what was probably meant to be a request, which can be answered therefore.
    pub id: Option<u64>,
    /// What is wrong.
    pub reason: MalformedReason,
}

/// What is wrong with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MalformedReason {
    /// Longer than the limit.
    TooLong,
    /// Not JSON, or nested too deeply.
    NotJson,
    /// JSON, but no object.
    NotAnObject,
    /// None of `request`, `response` and `notification` is `true`.
    Kind,
    /// The `id` is no integer from 0 to [`MAX_REQUEST_ID`].
    Id,
    /// The `method` is no text.
    Method,
    /// The `data` is there, but no object.
    Data,
    /// The `ok` of a response is there, but neither `true` nor `false`.
    Ok,
}

impl fmt::Display for MalformedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MalformedReason::TooLong => "the message is too long",
            MalformedReason::NotJson => "the message is not JSON",
            MalformedReason::NotAnObject => "the message is not an object",
            MalformedReason::Kind => "one of request, response and notification must be true",
            MalformedReason::Id => "id must be an integer from 0 to 2^53 - 1",
            MalformedReason::Method => "method must be a string",
            MalformedReason::Data => "data must be an object",
            MalformedReason::Ok => "ok must be a boolean",
        })
    }
}

/// Reads one frame of at most `max_bytes`.
pub fn parse(text: &str, max_bytes: usize) -> Result<Frame, Malformed> {
    let unanswerable = |reason| Malformed { id: None, reason };
    if text.len() > max_bytes {
        return Err(unanswerable(MalformedReason::TooLong));
    }
    let value = serde_json::from_str(text).map_err(|_| unanswerable(MalformedReason::NotJson))?;
    let Value::Object(mut object) = value else { return Err(unanswerable(MalformedReason::NotAnObject)) };
    let id = object.get("id").and_then(request_id);
    let is = |kind: &str| object.get(kind) == Some(&Value::Bool(true));
    if is("request") {
        let malformed = |reason| Malformed { id, reason };
        let id = id.ok_or(malformed(MalformedReason::Id))?;
        let method = take_method(&mut object).map_err(malformed)?;
        Ok(Frame::Request { id, method, data: take_data(&mut object).map_err(malformed)? })
    } else if is("response") {
        let id = id.ok_or(unanswerable(MalformedReason::Id))?;
        Ok(Frame::Response { id, result: take_result(&mut object).map_err(unanswerable)? })
    } else if is("notification") {
        let method = take_method(&mut object).map_err(unanswerable)?;
        Ok(Frame::Notification { method, data: take_data(&mut object).map_err(unanswerable)? })
    } else {
        Err(Malformed { id, reason: MalformedReason::Kind })
    }
}

/// The frame of a request.
pub fn request(id: u64, method: &str, data: &Value) -> String {
    json!({ "request": true, "id": id, "method": method, "data": data }).to_string()
}

/// The frame of a response that says yes.
pub fn response(id: u64, data: &Value) -> String {
    json!({ "response": true, "id": id, "ok": true, "data": data }).to_string()
}

/// The frame of a response that says no.
pub fn error_response(id: u64, code: u16, reason: &str) -> String {
    json!({ "response": true, "id": id, "ok": false, "errorCode": code, "errorReason": reason }).to_string()
}

/// The frame of a notification.
pub fn notification(method: &str, data: &Value) -> String {
    json!({ "notification": true, "method": method, "data": data }).to_string()
}

fn request_id(value: &Value) -> Option<u64> {
    value.as_u64().filter(|id| *id <= MAX_REQUEST_ID)
}

fn take_method(object: &mut Map<String, Value>) -> Result<String, MalformedReason> {
    match object.remove("method") {
        Some(Value::String(method)) => Ok(method),
        _ => Err(MalformedReason::Method),
    }
}

fn take_data(object: &mut Map<String, Value>) -> Result<Map<String, Value>, MalformedReason> {
    match object.remove("data") {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(data)) => Ok(data),
        Some(_) => Err(MalformedReason::Data),
    }
}

/// A response without `ok` is an error response, as protoo has it.
fn take_result(object: &mut Map<String, Value>) -> Result<Result<Value, ErrorResponse>, MalformedReason> {
    match object.remove("ok") {
        Some(Value::Bool(true)) => Ok(Ok(object.remove("data").unwrap_or_default())),
        None | Some(Value::Null | Value::Bool(false)) => {
            let code = object.get("errorCode").and_then(Value::as_u64).unwrap_or(0);
            let reason = object.get("errorReason").and_then(Value::as_str).unwrap_or_default().to_owned();
            Ok(Err(ErrorResponse { code, reason }))
        }
        Some(_) => Err(MalformedReason::Ok),
    }
}

#[cfg(test)]
mod tests;
