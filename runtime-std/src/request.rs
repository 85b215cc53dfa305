//! Reading HTTP/1.1 requests from a blocking stream, within limits and time.
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use sansfu::server::HttpResponse;

/// For the head of a request, from the first to the last byte, and for an idle connection between two requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// For the body of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest head of a request.
const MAX_HEAD_BYTES: usize = 32 << 10;
/// Fields of a head.
const MAX_FIELDS: usize = 100;

/// Reads requests; what it has read beyond one is the beginning of the next.
pub(crate) struct Reader<'a> {
    stream: &'a TcpStream,
    buffer: Vec<u8>,
}

/// The head of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    /// Whether the connection is kept after the answer.
    pub(crate) keep_alive: bool,
    /// Names in lower case.
    fields: Vec<(String, String)>,
    content_length: usize,
}

/// Why there is no request.
#[derive(Debug)]
pub(crate) enum Unread {
    /// The client has gone, or said nothing for too long: there is nobody to answer.
    Gone,
    /// It is refused; the connection ends after that.
    Refused(HttpResponse),
}

impl<'a> Reader<'a> {
    /// Reads from a stream.
    pub(crate) fn new(stream: &'a TcpStream) -> Reader<'a> {
        Reader { stream, buffer: Vec::new() }
    }

    /// The next head.
    pub(crate) fn head(&mut self) -> Result<Head, Unread> {
        let deadline = Instant::now() + HEAD_TIMEOUT;
        let mut searched = 0;
        loop {
            if let Some(end) = find_end(&self.buffer, searched) {
                let head = Head::parse(&self.buffer[..end]).map_err(Unread::Refused)?;
                self.buffer.drain(..end);
                return Ok(head);
            }
            if self.buffer.len() >= MAX_HEAD_BYTES {
                return Err(Unread::Refused(HttpResponse::error(431, "the head of the request is too long")));
            }
            searched = self.buffer.len();
            self.fill(deadline)?;
        }
    }

    /// The body that belongs to `head`, of at most `limit` bytes.
    pub(crate) fn body(&mut self, head: &Head, limit: usize) -> Result<Vec<u8>, Unread> {
        let deadline = Instant::now() + BODY_TIMEOUT;
        let length = head.content_length;
        let awaits_permission = head.has_token("expect", "100-continue");
        if length > limit {
            return Err(Unread::Refused(HttpResponse::too_large(limit)));
        }
        if length > 0 && awaits_permission {
            let mut stream = self.stream;
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").map_err(|_| Unread::Gone)?;
        }
        while self.buffer.len() < length {
            match self.fill(deadline) {
                Err(Unread::Gone) if Instant::now() >= deadline => {
                    return Err(Unread::Refused(HttpResponse::error(408, "the body did not come in time")));
                }
                result => result?,
            }
        }
        let rest = self.buffer.split_off(length);
        Ok(std::mem::replace(&mut self.buffer, rest))
    }

    /// What was read beyond the last request.
    pub(crate) fn into_rest(self) -> Vec<u8> {
        self.buffer
    }

    fn fill(&mut self, deadline: Instant) -> Result<(), Unread> {
        let left = deadline.saturating_duration_since(Instant::now());
        // A time-out of zero would mean none.
        if left.is_zero() || self.stream.set_read_timeout(Some(left)).is_err() {
            return Err(Unread::Gone);
        }
        let mut chunk = [0; 16 << 10];
        let mut stream = self.stream;
        match stream.read(&mut chunk) {
            Ok(0) => Err(Unread::Gone),
            Ok(count) => {
                self.buffer.extend_from_slice(&chunk[..count]);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(_) => Err(Unread::Gone),
        }
    }
}

impl Head {
    /// Parses the bytes up to and with the empty line.
    fn parse(bytes: &[u8]) -> Result<Head, HttpResponse> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut request = httparse::Request::new(&mut fields);
        match request.parse(bytes) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => return Err(malformed("head incomplete")),
            Err(httparse::Error::TooManyHeaders) => {
                return Err(HttpResponse::error(431, "the request has too many fields"));
            }
            Err(error) => return Err(malformed(&error.to_string())),
        }
        let text = |field: &httparse::Header<'_>| {
            let value = std::str::from_utf8(field.value).ok()?;
            Some((field.name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        let mut head = Head {
            method: request.method.unwrap_or_default().to_owned(),
            target: origin_form(request.path.unwrap_or_default()).to_owned(),
            keep_alive: request.version == Some(1),
            fields: request.headers.iter().filter_map(text).collect(),
            content_length: 0,
        };
        head.keep_alive &= !head.has_token("connection", "close");
        if head.field("transfer-encoding").is_some() {
            return Err(HttpResponse::error(411, "a body needs a Content-Length"));
        }
        if let Some(length) = head.field("content-length") {
            let is_number = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
            // Two different lengths, put together by a comma, are no number either (RFC 9112 section 6.3).
            let length = if is_number { length.parse().ok() } else { None };
            head.content_length = length.ok_or_else(|| malformed("Content-Length is no number"))?;
        }
        Ok(head)
    }

    /// The values of a field, put together (RFC 9110 section 5.2).
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let values = self.fields.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str());
        let values: Vec<&str> = values.collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// Whether one of a field's comma-separated values is `token`.
    pub(crate) fn has_token(&self, name: &str, token: &str) -> bool {
        let value = self.field(name).unwrap_or_default();
        value.split(',').any(|part| part.trim().eq_ignore_ascii_case(token))
    }
}

/// The end of the head, when it is there; what is before `searched` has been looked at.
fn find_end(buffer: &[u8], searched: usize) -> Option<usize> {
    let start = searched.saturating_sub(3);
    buffer[start..].windows(4).position(|window| window == b"\r\n\r\n").map(|position| start + position + 4)
}

/// Clients of proxies name the whole URI (RFC 9112 section 3.2.2).
fn origin_form(target: &str) -> &str {
    match target.strip_prefix("http://") {
        Some(rest) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => target,
    }
}

fn malformed(why: &str) -> HttpResponse {
    HttpResponse::error(400, &format!("malformed request: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    fn status(unread: Unread) -> u16 {
        match unread {
            Unread::Refused(response) => response.status,
            Unread::Gone => 0,
        }
    }

    #[test]
    fn requests_that_come_in_pieces_or_together_are_told_apart() {
        let (mut client, server) = pair();
        let mut reader = Reader::new(&server);
        let writer = std::thread::spawn(move || {
            let text = b"POST /a?b=c HTTP/1.1\r\nContent-Length: 5\r\nX-A: 1\r\nx-a: 2\r\n\r\nhelloGET http://h/z HTTP/1.0\r\n\r\n";
            for piece in text.chunks(7) {
                client.write_all(piece).unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
            client
        });
        let head = reader.head().unwrap();
        assert_eq!((head.method.as_str(), head.target.as_str(), head.keep_alive), ("POST", "/a?b=c", true));
        assert_eq!(head.field("x-a").as_deref(), Some("1, 2"));
        assert_eq!(reader.body(&head, 5).unwrap(), b"hello");
        let head = reader.head().unwrap();
        assert_eq!((head.method.as_str(), head.target.as_str(), head.keep_alive), ("GET", "/z", false));
        assert_eq!(reader.body(&head, 5).unwrap(), b"");
        drop(writer.join().unwrap());
        assert_eq!(status(reader.head().unwrap_err()), 0);
    }

    #[test]
    fn heads_that_are_wrong_are_refused_with_the_right_status() {
        let many_fields = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(MAX_FIELDS + 1));
        for (text, expected) in [
            ("GET\r\n\r\n", 400),
            ("GET / HTTP/9.9\r\n\r\n", 400),
            ("\0\0\0\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
            (many_fields.as_str(), 431),
        ] {
            assert_eq!(Head::parse(text.as_bytes()).unwrap_err().status, expected, "{text:.40}");
        }
        let (mut client, server) = pair();
        client.write_all(&vec![b'a'; MAX_HEAD_BYTES]).unwrap();
        assert_eq!(status(Reader::new(&server).head().unwrap_err()), 431);
    }

    #[test]
    fn a_body_beyond_the_limit_is_read_and_refused() {
        let (mut client, server) = pair();
        let writer = std::thread::spawn(move || {
            client.write_all(b"POST / HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n").unwrap();
            client.write_all(&[0; 1_000_000]).unwrap();
        });
        let mut reader = Reader::new(&server);
        let head = reader.head().unwrap();
        assert_eq!(status(reader.body(&head, 1000).unwrap_err()), 413);
        writer.join().unwrap();
    }

    #[test]
    fn a_client_that_waits_for_permission_to_send_its_body_gets_it() {
        let (mut client, server) = pair();
        client.write_all(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n").unwrap();
        let reader = std::thread::spawn(move || {
            let mut reader = Reader::new(&server);
            let head = reader.head().unwrap();
            reader.body(&head, 2).unwrap()
        });
        let mut answer = [0; 25];
        client.read_exact(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 100"));
        client.write_all(b"ok").unwrap();
        assert_eq!(reader.join().unwrap(), b"ok");
    }
}
