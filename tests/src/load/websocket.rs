//! A client's WebSocket, which never waits.
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use sansfu::server::edge::SUB_PROTOCOL;
use tungstenite::client::IntoClientRequest as _;
use tungstenite::handshake::client::Response;
use tungstenite::handshake::{HandshakeError, MidHandshake};
use tungstenite::{ClientHandshake, Error, Message, WebSocket};

/// How long to wait for the server's system to accept a connection.
const DIAL_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection at any stage.
#[derive(Debug)]
pub struct Connection {
    /// The same socket, to be waited for.
    descriptor: TcpStream,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Opening(MidHandshake<ClientHandshake<TcpStream>>),
    /// The server had agreed before anybody asked.
    Agreed(Box<WebSocket<TcpStream>>),
    Open(Box<WebSocket<TcpStream>>),
    Over,
}

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// The server has agreed.
    Opened,
    /// A text.
    Text(String),
    /// It is over, and why.
    Closed(String),
}

impl Connection {
    /// Connects and asks for a WebSocket. It is to be read once before it is waited for.
    ///
    /// # Errors
    /// Nobody answers there.
    pub fn dial(address: SocketAddr, authority: &str, target: &str) -> Result<Self, String> {
        let failed = |error: &dyn std::fmt::Display| format!("cannot connect to ws://{authority}: {error}");
        let stream = TcpStream::connect_timeout(&address, DIAL_TIMEOUT).map_err(|error| failed(&error))?;
        let descriptor = stream.try_clone().map_err(|error| failed(&error))?;
        stream
            .set_nonblocking(true)
            .and_then(|()| stream.set_nodelay(true))
            .map_err(|error| failed(&error))?;
        let mut request =
            format!("ws://{authority}{target}").into_client_request().map_err(|error| failed(&error))?;
        let protocol = tungstenite::http::HeaderValue::from_static(SUB_PROTOCOL);
        request.headers_mut().insert("Sec-WebSocket-Protocol", protocol);
        let stage = match tungstenite::client(request, stream) {
            Err(HandshakeError::Interrupted(handshake)) => Stage::Opening(handshake),
            Err(HandshakeError::Failure(error)) => return Err(failed(&error)),
            Ok((socket, _)) => Stage::Agreed(Box::new(socket)),
        };
        Ok(Connection { descriptor, stage })
    }

    /// The next thing that has come, if any.
    pub fn read(&mut self) -> Option<Heard> {
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Opening(handshake) => self.shake(handshake.handshake()),
            Stage::Agreed(socket) => {
                self.stage = Stage::Open(socket);
                Some(Heard::Opened)
            }
            Stage::Open(mut socket) => {
                let heard = read_text(&mut socket);
                if !matches!(heard, Some(Heard::Closed(_))) {
                    self.stage = Stage::Open(socket);
                }
                heard
            }
            Stage::Over => None,
        }
    }

    /// Sends a text, at once or when the system takes it.
    pub fn send(&mut self, text: String) {
        if let Stage::Open(socket) = &mut self.stage {
            // What is wrong shows at the next reading.
            let _ = socket.send(Message::text(text));
        }
    }

    /// Sends what the system has not taken before.
    pub fn flush(&mut self) {
        if let Stage::Open(socket) = &mut self.stage {
            let _ = socket.flush();
        }
    }

    /// Says goodbye.
    pub fn close(&mut self) {
        if let Stage::Open(socket) = &mut self.stage {
            let _ = socket.close(None).and_then(|()| socket.flush());
        }
        self.stage = Stage::Over;
    }

    fn shake(
        &mut self,
        outcome: Result<(WebSocket<TcpStream>, Response), HandshakeError<ClientHandshake<TcpStream>>>,
    ) -> Option<Heard> {
        match outcome {
            Ok((socket, _)) => {
                self.stage = Stage::Open(Box::new(socket));
                Some(Heard::Opened)
            }
            Err(HandshakeError::Interrupted(handshake)) => {
                self.stage = Stage::Opening(handshake);
                None
            }
            Err(HandshakeError::Failure(error)) => Some(Heard::Closed(format!("no WebSocket: {error}"))),
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

fn read_text(socket: &mut WebSocket<TcpStream>) -> Option<Heard> {
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => return Some(Heard::Text(text.to_string())),
            Ok(Message::Close(frame)) => {
                let why = frame.map_or_else(String::new, |frame| format!(" ({frame})"));
                return Some(Heard::Closed(format!("the server has closed the WebSocket{why}")));
            }
            Ok(_) => {}
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(error) => return Some(Heard::Closed(format!("the WebSocket broke: {error}"))),
        }
    }
}
