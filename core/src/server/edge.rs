//! What an HTTP front end has to know of paths, names and workers: pure functions, so that a runtime knows no protocol.
//!
//! A runtime reads the head of a request, asks [`route`], and does what the answer says. With several workers a room lives
//! on the worker of [`shard`]; statistics are asked of every worker and put together by [`merge_stats`].
mod target;

use serde_json::Value;

pub use super::http::HttpResponse;
pub use crate::room::{MAX_ID_CHARS, is_valid_id};
pub use target::Target;
pub(super) use target::percent_encode;

use crate::room::ID_RULE;

/// The files of the page; `/` is the first of them. A runtime that serves the page has one of each.
pub const FILES: [&str; 13] = [
    "index.html",
    "app.js",
    "devices.js",
    "level.js",
    "link.js",
    "lobby.js",
    "meeting.js",
    "notices.js",
    "session.js",
    "signaling.js",
    "stats.js",
    "style.css",
    "tiles.js",
];

/// The WebSocket sub-protocol of the rooms, which the answer to the upgrade must name.
pub const SUB_PROTOCOL: &str = "protoo";

/// What is to be done with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// Accept the upgrade with sub-protocol [`SUB_PROTOCOL`], then
    /// [`Input::Opened`](super::Input::Opened) to the worker of the room.
    WebSocket {
        /// The room.
        room_id: String,
        /// The peer.
        peer_id: String,
    },
    /// Forward as [`Input::Http`](super::Input::Http) to the worker of the room.
    Room {
        /// The room.
        room_id: String,
    },
    /// Forward as [`Input::Http`](super::Input::Http) to every worker and answer [`merge_stats`] of the bodies.
    Stats,
    /// Answer with a file of the page, one of [`FILES`].
    File(&'static str),
    /// Answer that.
    Respond(HttpResponse),
}

/// Decides what a request is about. `websocket_protocols` is the `Sec-WebSocket-Protocol` field (or an empty text) of a
/// request that wants to become a WebSocket, `None` for any other.
pub fn route(method: &str, target: &str, websocket_protocols: Option<&str>) -> Route {
    match websocket_protocols {
        Some(protocols) => route_websocket(method, target, protocols),
        None => route_http(method, target),
    }
}

/// The worker, below `workers`, on which a room lives: the same on every machine and in every version (FNV-1a, 64 bits).
pub fn shard(room_id: &str, workers: usize) -> usize {
    let hash = room_id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let workers = u64::try_from(workers).unwrap_or(u64::MAX);
    usize::try_from(hash.checked_rem(workers).unwrap_or(0)).unwrap_or(0)
}

/// The statistics of all workers as one: numbers of the same name are added. A part that is not a JSON object is left out.
pub fn merge_stats(parts: &[String]) -> String {
    let mut sum = Value::Object(serde_json::Map::new());
    for part in parts {
        if let Ok(part @ Value::Object(_)) = serde_json::from_str(part) {
            add(&mut sum, part);
        }
    }
    sum.to_string()
}

fn add(sum: &mut Value, part: Value) {
    match (sum, part) {
        (Value::Object(sum), Value::Object(part)) => {
            for (name, value) in part {
                match sum.get_mut(&name) {
                    Some(slot) => add(slot, value),
                    None => drop(sum.insert(name, value)),
                }
            }
        }
        (slot @ Value::Number(_), Value::Number(part)) => {
            let whole = slot.as_u64().zip(part.as_u64()).map(|(a, b)| Value::from(a.saturating_add(b)));
            let real = || Value::from(slot.as_f64().unwrap_or(0.0) + part.as_f64().unwrap_or(0.0));
            *slot = whole.unwrap_or_else(real);
        }
        _ => {}
    }
}

fn route_websocket(method: &str, target: &str, protocols: &str) -> Route {
    if method != "GET" {
        return Route::Respond(HttpResponse::method_not_allowed("GET"));
    }
    let target = Target::parse(target);
    if target.path != "/" {
        return Route::Respond(HttpResponse::not_found("WebSockets are accepted at / only"));
    }
    let room_id = match query_id(&target, "roomId") {
        Ok(id) => id,
        Err(response) => return Route::Respond(response),
    };
    let peer_id = match query_id(&target, "peerId") {
        Ok(id) => id,
        Err(response) => return Route::Respond(response),
    };
    if !protocols.split(',').any(|name| name.trim() == SUB_PROTOCOL) {
        return Route::Respond(HttpResponse::error(400, "WebSocket sub-protocol 'protoo' expected"));
    }
    Route::WebSocket { room_id, peer_id }
}

fn query_id(target: &Target<'_>, name: &str) -> Result<String, HttpResponse> {
    let missing =
        || HttpResponse::error(400, &format!("query parameter '{name}' expected: /?roomId=…&peerId=…"));
    let id = target.query(name).filter(|id| !id.is_empty()).ok_or_else(missing)?;
    if is_valid_id(&id) { Ok(id) } else { Err(HttpResponse::error(400, &format!("{name} {}", ID_RULE))) }
}

fn route_http(method: &str, target: &str) -> Route {
    let target = Target::parse(target);
    let first = target.path.strip_prefix('/').unwrap_or_default();
    match first.split('/').next().unwrap_or_default() {
        "whip" | "whep" | "rooms" => route_room(method, &target),
        "health" if target.path == "/health" => {
            only_get(method, || Route::Respond(HttpResponse::json(200, "{\"status\":\"ok\"}")))
        }
        "stats" if target.path == "/stats" => only_get(method, || Route::Stats),
        "" if target.path == "/" => only_get(method, || Route::File(FILES[0])),
        _ => match FILES.into_iter().find(|name| *name == first) {
            Some(name) => only_get(method, || Route::File(name)),
            None => Route::Respond(HttpResponse::not_found("there is nothing at this path")),
        },
    }
}

/// Methods, and everything behind the room, are looked at by the worker: the refusals are the same as for the rest.
fn route_room(method: &str, target: &Target<'_>) -> Route {
    match target.segments().get(1).map(String::as_str) {
        Some(room_id) if is_valid_id(room_id) => Route::Room { room_id: room_id.to_owned() },
        // A browser's preflight names any path; its answer does not depend on a room.
        _ if method == "OPTIONS" => Route::Respond(super::whip::preflight()),
        Some(room_id) if !room_id.is_empty() => {
            Route::Respond(HttpResponse::error(400, &format!("the room's id {}", ID_RULE)))
        }
        _ => Route::Respond(HttpResponse::not_found("the path must name a room")),
    }
}

fn only_get(method: &str, route: impl FnOnce() -> Route) -> Route {
    match method {
        "GET" | "HEAD" => route(),
        _ => Route::Respond(HttpResponse::method_not_allowed("GET, HEAD")),
    }
}

#[cfg(test)]
mod tests;
