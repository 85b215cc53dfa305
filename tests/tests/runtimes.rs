//! Both runtimes over real sockets on the loopback interface: what their front ends and media loops answer, refuse and survive.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a broken expectation is what a test reports")]
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use sansfu::server::settings::{RtcAddresses, Settings};
use sansfu::server::{Secret, edge};
use sansfu_runtime::{Running, StartError};
use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest as _;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Error, Message, WebSocket};

const PATIENCE: Duration = Duration::from_secs(20);

/// Every test, for each runtime.
macro_rules! for_both {
    ($($name:ident),* $(,)?) => {
        mod smol {
            $(#[test] fn $name() { super::$name(sansfu_smol::start); })*
        }
        mod threads {
            $(#[test] fn $name() { super::$name(sansfu_std::start); })*
        }
    };
}

for_both!(
    paths_are_answered,
    connections_are_kept_and_closed_as_asked,
    the_page_is_served_with_its_protection,
    statistics_are_those_of_all_workers,
    garbage_on_the_media_port_is_counted,
    a_session_gets_answers,
    a_session_needs_its_sub_protocol_and_names,
    frames_that_are_too_long_or_not_text_close_the_session,
    one_broken_session_leaves_the_others_alone,
    bodies_that_are_too_long_are_refused,
    the_operator_throws_a_peer_out,
    a_client_that_dawdles_over_its_head_is_cut_off,
    too_many_connections_are_refused,
    a_stop_tells_sessions_and_frees_all_ports,
    a_port_in_use_is_told,
    a_bad_certificate_is_told,
);

fn settings() -> Settings {
    Settings {
        http: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        rtc_ipv4: RtcAddresses::List(vec![Ipv4Addr::LOCALHOST]),
        rtc_ipv6: RtcAddresses::Off,
        rtc_port: 0,
        num_workers: Some(2),
        ..Settings::default()
    }
}

struct Response {
    status: u16,
    head: String,
    body: String,
}

impl Response {
    fn has(&self, field: &str) -> bool {
        self.head.to_ascii_lowercase().contains(&field.to_ascii_lowercase())
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Reads one response from a connection.
fn read_response(stream: &mut TcpStream, has_body: bool) -> Response {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        bytes.push(byte[0]);
    }
    let head = String::from_utf8(bytes).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let length = head.to_ascii_lowercase();
    let length = length.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
    let length: usize = length.map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; if has_body { length } else { 0 }];
    stream.read_exact(&mut body).unwrap();
    Response { status, head, body: String::from_utf8(body).unwrap() }
}

fn request(address: SocketAddr, method: &str, target: &str, body: &[u8]) -> Response {
    let mut stream = connect(address);
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    read_response(&mut stream, method != "HEAD")
}

fn get(address: SocketAddr, target: &str) -> Response {
    request(address, "GET", target, b"")
}

fn stats(address: SocketAddr) -> Value {
    let response = get(address, "/stats");
    assert_eq!(response.status, 200, "{}", response.body);
    serde_json::from_str(&response.body).unwrap()
}

/// Waits until a number in the statistics is at least `expected`.
fn wait_for(address: SocketAddr, name: &str, expected: u64) {
    let start = Instant::now();
    loop {
        let stats = stats(address);
        if stats[name].as_u64().unwrap_or_else(|| panic!("{name} in {stats}")) >= expected {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "{name} stays below {expected}: {stats}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn open_with(
    address: SocketAddr,
    target: &str,
    protocol: Option<&str>,
) -> Result<WebSocket<TcpStream>, Error> {
    let mut request = format!("ws://{address}{target}").into_client_request().unwrap();
    if let Some(protocol) = protocol {
        request.headers_mut().insert("Sec-WebSocket-Protocol", protocol.parse().unwrap());
    }
    match tungstenite::client(request, connect(address)) {
        Ok((socket, response)) => {
            assert_eq!(response.headers()["sec-websocket-protocol"], edge::SUB_PROTOCOL);
            Ok(socket)
        }
        Err(tungstenite::HandshakeError::Failure(error)) => Err(error),
        Err(interrupted) => panic!("{interrupted}"),
    }
}

fn open(address: SocketAddr, room: &str, peer: &str) -> WebSocket<TcpStream> {
    open_with(address, &format!("/?roomId={room}&peerId={peer}"), Some(edge::SUB_PROTOCOL)).unwrap()
}

/// Sends a request in the rooms' envelope and returns the response to it.
fn ask(socket: &mut WebSocket<TcpStream>, id: u64, method: &str) -> Value {
    let text = json!({ "request": true, "id": id, "method": method, "data": {} }).to_string();
    socket.send(Message::text(text)).unwrap();
    loop {
        if let Message::Text(text) = socket.read().unwrap() {
            let message: Value = serde_json::from_str(&text).unwrap();
            if message["response"] == true && message["id"] == id {
                return message;
            }
        }
    }
}

fn kick(address: SocketAddr, authorization: &str) -> Response {
    let mut stream = connect(address);
    let head = format!("DELETE /rooms/room/peers/me HTTP/1.1\r\nHost: localhost\r\n{authorization}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    read_response(&mut stream, true)
}

/// The code that the server closes a session with.
fn close_code(socket: &mut WebSocket<TcpStream>) -> CloseCode {
    loop {
        match socket.read() {
            Ok(Message::Close(frame)) => return frame.unwrap().code,
            Ok(_) => {}
            Err(error) => panic!("no close frame: {error}"),
        }
    }
}

fn paths_are_answered<R: Running>(start: fn(&Settings) -> Result<R, StartError>) {
    let server = start(&settings()).unwrap();
    let address = server.http_address();
    assert_eq!(get(address, "/health").status, 200);
    assert_eq!(get(address, "/nothing/here").status, 404);
    assert_eq!(get(address, "/../etc/passwd").status, 404);
    let refused = request(address, "DELETE", "/health", b"");
    assert_eq!(refused.status, 405);
    assert!(refused.has("allow: GET, HEAD"));
    let head = request(address, "HEAD", "/health", b"");
    assert!(head.status == 200 && head.body.is_empty());
    let preflight = request(address, "OPTIONS", "/whip/room/peer", b"");
    assert!(preflight.status == 204 && preflight.has("access-control-allow-origin: *"), "{}", preflight.head);
    let bad = request(address, "POST", "/whip/room/peer", b"no SDP");
    assert!((400..500).contains(&bad.status) && bad.body.contains("SDP"), "{} {}", bad.status, bad.body);
    for garbage in ["\r\n\r\n\r\n", "GET\r\n\r\n", "\u{0}\u{1}\r\n\r\n", "GET / HTTP/7.0\r\n\r\n"] {
        let mut stream = connect(address);
        stream.write_all(garbage.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{garbage:?}");
    }
    assert_eq!(get(address, "/health").status, 200);
}

fn connections_are_kept_and_closed_as_asked<R: Running>(start: fn(&Settings) -> Result<R, StartError>) {
    let server = start(&settings()).unwrap();
    let mut stream = connect(server.http_address());
    for _ in 0..3 {
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert_eq!(read_response(&mut stream, true).status, 200);
    }
    stream
        .write_all(b"HEAD /health HTTP/1.1\r\nHost: a\r\n\r\nGET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    assert_eq!(read_response(&mut stream, false).status, 200);
    assert_eq!(read_response(&mut stream, true).status, 200);
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    assert_eq!(read_response(&mut stream, true).status, 200);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

fn the_page_is_served_with_its_protection<R: Running>(start: fn(&Settings) -> Result<R, StartError>) {
    let server = start(&settings()).unwrap();
    let page = get(server.http_address(), "/?roomId=abc");
    assert_eq!(page.status, 200);
    assert!(page.body.contains("<!doctype html>"));
    assert!(page.has("content-type: text/html; charset=utf-8"));
    assert!(page.has("content-security-policy: default-src 'self'"));
    assert!(page.has("x-content-type-options: nosniff") && page.has("cache-control: no-cache"));
    for name in edge::FILES {
        let file = get(server.http_address(), &format!("/{name}"));
        assert!(file.status == 200 && !file.body.is_empty(), "{name}");
    }
    assert!(get(server.http_address(), "/style.css").has("content-type: text/css"));
    assert!(get(server.http_address(), "/app.js").has("content-type: text/javascript"));
}

fn statistics_are_those_of_all_workers<R: Running>(start: fn(&Settings) -> Result<R, StartError>) {
    let server = start(&settings()).unwrap();
    let address = server.http_address();
    assert_eq!(server.rtc_addresses().len(), 2);
    let before = stats(address);
    assert_eq!(
        (&before["rooms"], &before["sessions"], &before["sendsDropped"]),
        (&json!(0), &json!(0), &json!(0))
    );
    // Rooms on both workers.
    let rooms = ["a", "b", "c", "d", "e", "f"];
    assert!(
        rooms.iter().any(|room| edge::shard(room, 2) == 0)
            && rooms.iter().any(|room| edge::shard(room, 2) == 1)
    );
    let sessions: Vec<_> = rooms.iter().map(|room| open(address, room, "me")).collect();
    wait_for(address, "sessions", 6);
    drop(sessions);
    let start = Instant::now();
    while stats(address)["sessions"] != 0 {
        assert!(start.elapsed() < PATIENCE, "sessions stay");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn garbage_on_the_media_port_is_counted<R: Running>(start: fn(&Settings) -> Result<R, StartError>) {
    let server = start(&settings()).unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    for address in server.rtc_addresses() {
        client.send_to(&[], address).unwrap();
        for index in 0..=255_u8 {
            client.send_to(&vec![index; 1 + usize::from(index)], address).unwrap();
        }
    }
    wait_for(server.http_address(), "datagramsReceived", 512);
    let stats = stats(server.http_address());
    assert!(stats["droppedUnknownProtocol"].as_u64().unwrap() > 0, "{stats}");
    assert_eq!(stats["tuples"], 0);
}

fn a_session_gets_answers<R: Running>(start: fn(&Settings) -> Result<R, StartError>) {
    let server = start(&settings()).unwrap();
    let mut socket = open(server.http_address(), "room", "me");
    let answer = ask(&mut socket, 1, "getRouterRtpCapabilities");
    assert_eq!(answer["ok"], true, "{answer}");
    assert!(answer["data"].to_string().contains("audio/opus"), "{answer}");
    assert_eq!(ask(&mut socket, 2, "no such method")["ok"], false);
    socket.send(Message::Ping(vec![1, 2, 3].into())).unwrap();
    assert_eq!(socket.read().unwrap(), Message::Pong(vec![1, 2, 3].into()));
    socket.close(None).unwrap();
    while socket.read().is_ok() {}
}

fn a_session_needs_its_sub_protocol_and_names<R: Running>(start: fn(&Settings) -> Result<R, StartError>) {
    let server = start(&settings()).unwrap();
    for (target, protocol) in [
        ("/?roomId=room&peerId=me", None),
        ("/?roomId=room&peerId=me", Some("chat")),
        ("/?roomId=room", Some(edge::SUB_PROTOCOL)),
        ("/?peerId=me", Some(edge::SUB_PROTOCOL)),
        ("/elsewhere?roomId=room&peerId=me", Some(edge::SUB_PROTOCOL)),
    ] {
        match open_with(server.http_address(), target, protocol) {
            Err(Error::Http(response)) => assert!(response.status().is_client_error(), "{target}"),
            other => panic!("{target}: {other:?}"),
        }
    }
}

fn frames_that_are_too_long_or_not_text_close_the_session<R: Running>(
    start: fn(&Settings) -> Result<R, StartError>,
) {
    let server = start(&settings()).unwrap();
    let limit = settings().limits.max_message_bytes;
    let mut socket = open(server.http_address(), "room", "long");
    socket.send(Message::text("x".repeat(limit + 1))).unwrap();
    assert_eq!(close_code(&mut socket), CloseCode::Size);
    let mut socket = open(server.http_address(), "room", "binary");
    socket.send(Message::binary(vec![0; 10])).unwrap();
    assert_eq!(close_code(&mut socket), CloseCode::Unsupported);
    let mut socket = open(server.http_address(), "room", "broken");
    socket.get_mut().write_all(&[0xff; 100]).unwrap();
    assert_eq!(close_code(&mut socket), CloseCode::Protocol);
    wait_for(server.http_address(), "sessionsMalformed", 3);
}

fn one_broken_session_leaves_the_others_alone<R: Running>(start: fn(&Settings) -> Result<R, StartError>) {
    let server = start(&settings()).unwrap();
    let mut good = open(server.http_address(), "room", "good");
    for peer in 0..10 {
        let mut bad = open(server.http_address(), "room", &format!("bad{peer}"));
        for text in
            ["null", "[]", "{}", "1", "\"\"", "{\"request\":1}", "{\"request\":true,\"id\":\"x\"}", "{"]
        {
            let _ = bad.send(Message::text(text));
        }
        // Ends without a goodbye.
        drop(bad);
    }
    assert_eq!(ask(&mut good, 7, "getRouterRtpCapabilities")["ok"], true);
}

fn bodies_that_are_too_long_are_refused<R: Running>(start: fn(&Settings) -> Result<R, StartError>) {
    let server = start(&settings()).unwrap();
    let refused = request(server.http_address(), "POST", "/whip/room/peer", &vec![b'x'; 10_000_000]);
    assert_eq!(refused.status, 413);
    let most = vec![b'x'; settings().limits.max_body_bytes];
    let allowed = request(server.http_address(), "POST", "/whip/room/peer", &most);
    assert_ne!(allowed.status, 413);
    assert_eq!(get(server.http_address(), "/health").status, 200);
}

fn the_operator_throws_a_peer_out<R: Running>(start: fn(&Settings) -> Result<R, StartError>) {
    let token = "swordfish-swordfish-swordfish";
    let server = start(&Settings { admin_token: Some(Secret::new(token)), ..settings() }).unwrap();
    let address = server.http_address();
    let mut socket = open(address, "room", "me");
    ask(&mut socket, 1, "getRouterRtpCapabilities");
    let twice = format!("Authorization: Bearer {token}\r\nAuthorization: Bearer {token}\r\n");
    for wrong in ["", "Authorization: Bearer wrong\r\n", "Authorization: Bearer \u{80}\r\n", &twice] {
        let refused = kick(address, wrong);
        assert_eq!(refused.status, 401, "{wrong}");
        assert!(refused.has("www-authenticate: Bearer realm=\"sansfu\""), "{}", refused.head);
    }
    let right = format!("authorization: bearer {token}\r\n");
    assert_eq!(kick(address, &right).status, 204);
    assert_eq!(close_code(&mut socket), CloseCode::Library(4000));
    assert_eq!(kick(address, &right).status, 404);
    let without = start(&settings()).unwrap();
    assert_eq!(kick(without.http_address(), &right).status, 404);
}

fn a_client_that_dawdles_over_its_head_is_cut_off<R: Running>(start: fn(&Settings) -> Result<R, StartError>) {
    let server = start(&settings()).unwrap();
    let mut stream = connect(server.http_address());
    let begin = Instant::now();
    stream.set_read_timeout(Some(Duration::from_millis(250))).unwrap();
    for byte in b"GET /health HTTP/1.1\r\nA: ".iter().chain(std::iter::repeat(&b'a')) {
        if stream.write_all(&[*byte]).is_err() || stream.read(&mut [0; 100]).is_ok_and(|count| count == 0) {
            break;
        }
        assert!(begin.elapsed() < PATIENCE, "still open");
    }
    assert!(begin.elapsed() > Duration::from_secs(5), "cut off after {:?}", begin.elapsed());
}

fn too_many_connections_are_refused<R: Running>(start: fn(&Settings) -> Result<R, StartError>) {
    let server = start(&Settings { max_connections: 3, ..settings() }).unwrap();
    let address = server.http_address();
    let mut kept: Vec<TcpStream> = (0..3).map(|_| connect(address)).collect();
    for stream in &mut kept {
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        assert_eq!(read_response(stream, true).status, 200);
    }
    assert_eq!(read_response(&mut connect(address), true).status, 503);
    drop(kept);
    let start = Instant::now();
    loop {
        let mut stream = connect(address);
        // A refusal does not wait for the request, which may then find nobody.
        let _ = stream.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
        if read_response(&mut stream, true).status == 200 {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "connections stay counted");
    }
}

fn a_stop_tells_sessions_and_frees_all_ports<R: Running>(start: fn(&Settings) -> Result<R, StartError>) {
    let server = start(&settings()).unwrap();
    let (http, rtc) = (server.http_address(), server.rtc_addresses().to_vec());
    let mut sockets = ["a", "b", "c"].map(|room| open(http, room, "me"));
    for socket in &mut sockets {
        ask(socket, 1, "getRouterRtpCapabilities");
    }
    let _idle = connect(http);
    let mut half = connect(http);
    half.write_all(b"GET ").unwrap();
    let begin = Instant::now();
    server.stopper().stop();
    let closed = std::thread::spawn(move || {
        sockets.map(|mut socket| {
            let code = close_code(&mut socket);
            let _ = socket.flush();
            code
        })
    });
    server.wait().unwrap();
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    assert_eq!(closed.join().unwrap(), [CloseCode::Away; 3]);
    assert!(TcpStream::connect(http).is_err());
    TcpListener::bind(http).unwrap();
    for address in rtc {
        UdpSocket::bind(address).unwrap();
    }
}

fn a_port_in_use_is_told<R: Running>(start: fn(&Settings) -> Result<R, StartError>) {
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap();
    let error = start(&Settings { http: taken, ..settings() }).err().unwrap().to_string();
    assert!(error.contains(&taken.to_string()) && error.contains("in use"), "{error}");
    drop(holder);
    let holder = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let one = Settings { rtc_port: port, num_workers: Some(1), ..settings() };
    let error = start(&one).err().unwrap().to_string();
    assert!(error.contains(&format!("UDP 127.0.0.1:{port}")) && error.contains("in use"), "{error}");
    let elsewhere = RtcAddresses::List(vec![Ipv4Addr::new(192, 0, 2, 1)]);
    let error = start(&Settings { rtc_ipv4: elsewhere, ..settings() }).err().unwrap().to_string();
    assert!(error.contains("192.0.2.1"), "{error}");
}

fn a_bad_certificate_is_told<R: Running>(start: fn(&Settings) -> Result<R, StartError>) {
    let file = std::env::temp_dir().join(format!("sansfu-not-a-certificate-{}", std::process::id()));
    std::fs::write(&file, "no PEM").unwrap();
    let settings = Settings {
        dtls_certificate_file: Some(file.clone()),
        dtls_private_key_file: Some(file.clone()),
        ..settings()
    };
    let error = start(&settings).err().unwrap().to_string();
    assert!(error.contains("certificate"), "{error}");
    assert!(!error.contains('\n'), "{error}");
    let missing = Settings { dtls_certificate_file: Some("/no/such/file".into()), ..settings };
    let error = start(&missing).err().unwrap().to_string();
    assert!(error.contains("/no/such/file"), "{error}");
}
