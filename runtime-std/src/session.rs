//! A WebSocket: one thread reads frames and hands text to the worker that has the room, another writes the worker's frames.
//!
//! Only the writer writes to the connection: what the reader's protocol machine wants to say (pongs, answers to a close) goes
//! through the writer's queue like everything else, and so frames never mix.
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use sansfu::server::SessionId;
use sansfu_runtime::{Budget, Signal, ToSession};
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, Frame};
use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use tungstenite::{Error, Message, Utf8Bytes, error::CapacityError};

use crate::WorkerSender;
use crate::front_end::Registration;

/// How often a client is asked whether it is there.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// A client of which nothing was heard for that long is gone.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a close frame is given to be read before the connection ends.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Buffers of a session, in bytes: messages are short, and sessions are many.
const BUFFER_BYTES: usize = 8 << 10;
/// The writer's calls are shallow.
const STACK_BYTES: usize = 128 << 10;

/// What the writer has to do.
enum ToWriter {
    /// What the worker wants.
    FromWorker(ToSession),
    /// Whole frames of the reader's protocol machine.
    Frames(Vec<u8>),
    /// A close frame, as the reader wants it.
    Close(CloseCode, String),
    /// The worker has dropped the session.
    Dropped,
}

/// The worker's end of the writer's queue.
struct Sink {
    sender: Sender<ToWriter>,
    budget: Budget,
}

/// The reader's connection: reads come from the socket, writes go to the writer's queue.
struct Half {
    stream: Arc<TcpStream>,
    sender: Sender<ToWriter>,
    budget: Budget,
}

/// Serves a WebSocket after its handshake; `rest` is what came behind that already.
pub(crate) fn run(
    stream: &Arc<TcpStream>,
    registration: &Registration,
    rest: Vec<u8>,
    room_id: String,
    peer_id: String,
) {
    let shared = registration.shared();
    let limits = &shared.settings.limits;
    let budget = Budget::new(limits.max_queued_messages_per_session, limits.max_queued_bytes_per_session);
    let (sender, queue) = mpsc::channel();
    let writing = stream.clone();
    let counted = budget.clone();
    let writer = std::thread::Builder::new().name("session writer".to_owned()).stack_size(STACK_BYTES);
    let Ok(writer) = writer.spawn(move || write(&writing, &queue, &counted)) else { return };
    let session = SessionId(registration.number());
    let worker = shared.worker_of(&room_id);
    let mut sink = Sink { sender: sender.clone(), budget: budget.clone() };
    let sink = Box::new(move |message| sink.push(message));
    if worker.send(Signal::Opened { session, room_id, peer_id, sink }) {
        let config = WebSocketConfig::default()
            .max_message_size(Some(limits.max_message_bytes))
            .max_frame_size(Some(limits.max_message_bytes))
            .read_buffer_size(BUFFER_BYTES)
            .write_buffer_size(0);
        let half = Half { stream: stream.clone(), sender: sender.clone(), budget };
        let mut socket = WebSocket::from_partially_read(half, rest, Role::Server, Some(config));
        // A socket without this time-out would keep the thread of a client that has vanished.
        let close = match stream.set_read_timeout(Some(SILENCE_TIMEOUT)) {
            Ok(()) => read(&mut socket, session, worker),
            Err(_) => None,
        };
        let counter = match &close {
            Some((
                CloseCode::Size | CloseCode::Unsupported | CloseCode::Protocol | CloseCode::Invalid,
                _,
            )) => Some(&shared.counters.sessions_malformed),
            Some(_) => None,
            None => Some(&shared.counters.sessions_silent),
        };
        if let Some(counter) = counter {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        let (code, reason) = close.unwrap_or((CloseCode::Away, "silent for too long".to_owned()));
        // The writer may have ended before.
        let _ = sender.send(ToWriter::Close(code, reason));
        worker.send(Signal::Closed { session });
    }
    drop(sender);
    discard(stream);
    let _ = writer.join();
}

/// Hands on what the client sends, until it ends. Returns the close code to send; `None`: the client is silent.
fn read(
    socket: &mut WebSocket<Half>,
    session: SessionId,
    worker: &WorkerSender,
) -> Option<(CloseCode, String)> {
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => {
                let text = text.as_str().to_owned();
                if !worker.send(Signal::Message { session, text }) {
                    return Some((CloseCode::Away, "the server stops".to_owned()));
                }
            }
            Ok(Message::Binary(_)) => return Some((CloseCode::Unsupported, "text frames only".to_owned())),
            Ok(Message::Close(_)) => return Some((CloseCode::Normal, String::new())),
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)) => {}
            Err(Error::Io(error)) if is_time_out(&error) => return None,
            Err(error) => return Some(close_code(&error)),
        }
    }
}

/// Writes what is queued, and a ping when nothing has been for a while, until a close frame is written or writing fails.
fn write(stream: &TcpStream, queue: &Receiver<ToWriter>, budget: &Budget) {
    let mut next_ping = Instant::now() + PING_INTERVAL;
    let close = loop {
        let bytes = match queue.recv_timeout(next_ping.saturating_duration_since(Instant::now())) {
            Ok(ToWriter::FromWorker(message)) => {
                budget.give(message.cost_bytes());
                match message {
                    ToSession::Text(text) => encode(Frame::message(text, OpCode::Data(Data::Text), true)),
                    ToSession::Close { code, reason } => break (CloseCode::from(code), reason),
                }
            }
            Ok(ToWriter::Frames(bytes)) => {
                budget.give(bytes.len());
                bytes
            }
            Ok(ToWriter::Close(code, reason)) => break (code, reason),
            Ok(ToWriter::Dropped) => break (CloseCode::Policy, "reads too slowly".to_owned()),
            Err(RecvTimeoutError::Timeout) => {
                next_ping = Instant::now() + PING_INTERVAL;
                encode(Frame::ping(Vec::new()))
            }
            Err(RecvTimeoutError::Disconnected) => break (CloseCode::Normal, String::new()),
        };
        let mut stream = stream;
        if stream.write_all(&bytes).is_err() {
            // Wakes the reader, which tells the worker.
            let _ = stream.shutdown(Shutdown::Both);
            return;
        }
    };
    end(stream, queue, close);
}

/// Sends a close frame, and leaves the reader a moment: closing a connection with unread bytes would destroy what was sent.
fn end(mut stream: &TcpStream, queue: &Receiver<ToWriter>, (code, reason): (CloseCode, String)) {
    let frame = Frame::close(Some(CloseFrame { code, reason: Utf8Bytes::from(reason) }));
    if stream.write_all(&encode(frame)).is_ok() && stream.shutdown(Shutdown::Write).is_ok() {
        let deadline = Instant::now() + CLOSE_TIMEOUT;
        let left = || deadline.saturating_duration_since(Instant::now());
        while !left().is_zero() && !matches!(queue.recv_timeout(left()), Err(RecvTimeoutError::Disconnected))
        {
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
}

/// Reads until the connection ends; the writer sees to it that it does.
fn discard(mut stream: &TcpStream) {
    let mut discarded = [0; 4096];
    while stream.read(&mut discarded).is_ok_and(|count| count > 0) {}
}

fn encode(frame: Frame) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(frame.len());
    // Memory takes what is written to it.
    let _ = frame.format(&mut bytes);
    bytes
}

fn is_time_out(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn close_code(error: &Error) -> (CloseCode, String) {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { max_size, .. }) => {
            (CloseCode::Size, format!("longer than {max_size} bytes"))
        }
        Error::Capacity(_) => (CloseCode::Size, "too long".to_owned()),
        Error::Utf8(_) => (CloseCode::Invalid, "text is UTF-8".to_owned()),
        Error::Protocol(_) => (CloseCode::Protocol, "not a WebSocket frame".to_owned()),
        _ => (CloseCode::Normal, String::new()),
    }
}

impl Sink {
    fn push(&mut self, message: ToSession) -> bool {
        self.budget.take(message.cost_bytes()) && self.sender.send(ToWriter::FromWorker(message)).is_ok()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // After a close frame the writer does not look at it.
        let _ = self.sender.send(ToWriter::Dropped);
    }
}

impl Read for Half {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self.stream).read(buffer)
    }
}

impl Write for Half {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let is_queued =
            self.budget.take(buffer.len()) && self.sender.send(ToWriter::Frames(buffer.to_vec())).is_ok();
        if is_queued { Ok(buffer.len()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
