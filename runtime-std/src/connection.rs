//! One connection: reads requests, and answers them or hands them to the worker that has the room.
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use sansfu::server::edge::{self, Route};
use sansfu::server::{HttpResponse, Secret};
use sansfu_runtime::{OwnedRequest, Signal, page};
use tungstenite::handshake::derive_accept_key;

use crate::WorkerSender;
use crate::front_end::{Registration, Shared};
use crate::request::{Head, Reader, Unread};
use crate::session;

/// For a worker's answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// A client that takes longer to receive what is sent to it is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a refusal is given to be read before the connection ends.
const LINGER_TIMEOUT: Duration = Duration::from_secs(2);

/// Serves a connection until it ends.
pub(crate) fn serve(stream: &Arc<TcpStream>, registration: &Registration) {
    if stream.set_write_timeout(Some(WRITE_TIMEOUT)).is_err() {
        return;
    }
    let mut reader = Reader::new(stream);
    loop {
        let head = match reader.head() {
            Ok(head) => head,
            Err(unread) => return refuse(stream, unread),
        };
        if is_websocket(&head) {
            let protocols = head.field("sec-websocket-protocol").unwrap_or_default();
            match edge::route(&head.method, &head.target, Some(&protocols)) {
                Route::WebSocket { room_id, peer_id }
                    if accept(stream, &head).is_ok_and(|accepted| accepted) =>
                {
                    registration.becomes_session();
                    session::run(stream, registration, reader.into_rest(), room_id, peer_id);
                }
                Route::Respond(response) => drop(write(stream, &head.method, false, response)),
                _ => {}
            }
            return;
        }
        let body = match reader.body(&head, registration.shared().settings.limits.max_body_bytes) {
            Ok(body) => body,
            Err(unread) => return refuse(stream, unread),
        };
        let result = match answer(registration.shared(), &head, body) {
            Answer::Response(response) => write(stream, &head.method, head.keep_alive, response),
            Answer::File(name) => write_file(stream, &head, name),
        };
        if result.is_err() || !head.keep_alive {
            return;
        }
    }
}

enum Answer {
    Response(HttpResponse),
    File(&'static str),
}

fn answer(shared: &Shared, head: &Head, body: Vec<u8>) -> Answer {
    let request = OwnedRequest {
        method: head.method.clone(),
        target: head.target.clone(),
        content_type: head.field("content-type"),
        if_match: head.field("if-match"),
        authorization: head.field("authorization").map(Secret::new),
        body,
    };
    Answer::Response(match edge::route(&head.method, &head.target, None) {
        Route::File(name) => return Answer::File(name),
        Route::Respond(response) => response,
        Route::Room { room_id } => ask(shared.worker_of(&room_id), request),
        Route::Stats => stats(shared, &request),
        Route::WebSocket { .. } => HttpResponse::error(400, "malformed WebSocket handshake"),
    })
}

/// Gathers the numbers of all workers, and those of this runtime.
fn stats(shared: &Shared, request: &OwnedRequest) -> HttpResponse {
    let mut parts = Vec::new();
    for worker in &shared.workers {
        let response = ask(worker, request.clone());
        if response.status != 200 {
            return response;
        }
        parts.push(response.body);
    }
    // The workers have brought theirs up to date, within the last second.
    parts.push(shared.counters.to_json());
    HttpResponse::json(200, edge::merge_stats(&parts))
}

/// Hands a request to a worker and waits for its answer.
fn ask(worker: &WorkerSender, request: OwnedRequest) -> HttpResponse {
    let (sender, answer) = mpsc::sync_channel(1);
    let respond = Box::new(move |response| {
        // Whoever asked may have gone.
        let _ = sender.try_send(response);
    });
    let is_sent = worker.send(Signal::Http { request, respond });
    let answer = is_sent.then(|| answer.recv_timeout(ANSWER_TIMEOUT).ok()).flatten();
    answer.unwrap_or_else(|| HttpResponse::unavailable("the server stops, or is overloaded"))
}

/// Says why, and reads on for a moment: closing a connection with unread bytes would destroy what was sent.
fn refuse(mut stream: &TcpStream, unread: Unread) {
    let Unread::Refused(response) = unread else { return };
    if write(stream, "", false, response).is_ok() && stream.shutdown(Shutdown::Write).is_ok() {
        let deadline = Instant::now() + LINGER_TIMEOUT;
        let mut discarded = [0; 4096];
        while Instant::now() < deadline
            && stream.set_read_timeout(Some(LINGER_TIMEOUT)).is_ok()
            && stream.read(&mut discarded).is_ok_and(|count| count > 0)
        {}
    }
}

fn write(stream: &TcpStream, method: &str, keep_alive: bool, response: HttpResponse) -> io::Result<()> {
    let fields = response.headers.iter().map(|(name, value)| (*name, value.as_str()));
    write_parts(stream, response.status, fields, response.body.as_bytes(), method, keep_alive)
}

fn write_file(stream: &TcpStream, head: &Head, name: &str) -> io::Result<()> {
    let Some(file) = page::file(name) else {
        return write(stream, &head.method, head.keep_alive, HttpResponse::not_found("this file is missing"));
    };
    let fields = page::HEADERS.into_iter().chain([("content-type", file.content_type)]);
    write_parts(stream, 200, fields, file.content.as_bytes(), &head.method, head.keep_alive)
}

fn write_parts<'a>(
    mut stream: &TcpStream,
    status: u16,
    fields: impl Iterator<Item = (&'a str, &'a str)>,
    body: &[u8],
    method: &str,
    keep_alive: bool,
) -> io::Result<()> {
    // The reason phrase may be empty, the space before it may not (RFC 9112 section 4).
    let mut bytes = format!("HTTP/1.1 {status} \r\n").into_bytes();
    for (name, value) in fields {
        // A line break in a value would be another field.
        let value: String = value.chars().filter(|char| !char.is_control()).collect();
        write!(bytes, "{name}: {value}\r\n")?;
    }
    if status != 204 {
        write!(bytes, "content-length: {}\r\n", body.len())?;
    }
    if !keep_alive {
        write!(bytes, "connection: close\r\n")?;
    }
    write!(bytes, "\r\n")?;
    if method != "HEAD" && status != 204 {
        bytes.extend_from_slice(body);
    }
    stream.write_all(&bytes)
}

/// Whether a request wants to become a WebSocket (RFC 6455 section 4.2.1).
fn is_websocket(head: &Head) -> bool {
    head.has_token("connection", "upgrade") && head.has_token("upgrade", "websocket")
}

/// Answers the handshake. `false`: it was malformed.
fn accept(mut stream: &TcpStream, head: &Head) -> io::Result<bool> {
    let key = head.field("sec-websocket-key").filter(|key| !key.is_empty());
    let version = head.field("sec-websocket-version");
    let (Some(key), Some("13")) = (key, version.as_deref()) else {
        let response = HttpResponse::error(400, "malformed WebSocket handshake");
        write(stream, &head.method, false, response.with("sec-websocket-version", "13"))?;
        return Ok(false);
    };
    let accept = derive_accept_key(key.as_bytes());
    let text = format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
         sec-websocket-accept: {accept}\r\nsec-websocket-protocol: {}\r\n\r\n",
        edge::SUB_PROTOCOL,
    );
    stream.write_all(text.as_bytes())?;
    Ok(true)
}
