//! A WebSocket: text frames go to the worker that has the room, and its frames come back.
use std::net::Shutdown;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use async_io::Timer;
use async_tungstenite::WebSocketStream;
use async_tungstenite::tungstenite::error::{CapacityError, Error};
use async_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use async_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use async_tungstenite::tungstenite::{Message, Utf8Bytes};
use hyper::upgrade::OnUpgrade;
use sansfu::server::SessionId;
use sansfu_runtime::{Budget, Signal, ToSession};
use smol::channel::{self, Receiver, Sender};
use smol::future::or;
use smol::io::AsyncReadExt as _;
use smol::net::TcpStream;
use smol::stream::StreamExt as _;
use smol_hyper::rt::FuturesIo;

use crate::http::FrontEnd;

/// How often a client is asked whether it is there.
const PING_INTERVAL: Duration = Duration::from_secs(20);
/// A client of which nothing was heard for that long is gone.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);
/// A client that takes longer to receive one frame is gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a close frame is given to be read before the connection ends.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Buffers of a session, in bytes: messages are short, and sessions are many.
const BUFFER_BYTES: usize = 8 << 10;

type Socket = WebSocketStream<TcpStream>;

/// What happens to a session.
enum Happening {
    /// The worker wants something; `None`: it has dropped the session.
    FromWorker(Option<ToSession>),
    /// The client has sent something; `None`: it is gone.
    FromClient(Option<Result<Message, Error>>),
    /// Time for a ping.
    Tick,
}

/// Serves a WebSocket once its connection has been upgraded, until it ends.
pub(crate) async fn run(front_end: &FrontEnd, upgrade: OnUpgrade, room_id: String, peer_id: String) {
    let Some(parts) =
        upgrade.await.ok().and_then(|upgraded| upgraded.downcast::<FuturesIo<TcpStream>>().ok())
    else {
        return;
    };
    let limits = &front_end.settings.limits;
    let config = WebSocketConfig::default()
        .max_message_size(Some(limits.max_message_bytes))
        .max_frame_size(Some(limits.max_message_bytes))
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(0);
    let stream = parts.io.into_inner();
    let mut socket =
        Socket::from_partially_read(stream, parts.read_buf.to_vec(), Role::Server, Some(config)).await;
    let session = SessionId(front_end.next_session());
    let worker = front_end.worker_of(&room_id);
    let budget = Budget::new(limits.max_queued_messages_per_session, limits.max_queued_bytes_per_session);
    let (sender, to_session) = channel::unbounded();
    let counted = budget.clone();
    let sink = Box::new(move |message: ToSession| {
        counted.take(message.cost_bytes()) && sender.try_send(message).is_ok()
    });
    if worker.send(Signal::Opened { session, room_id, peer_id, sink }).await.is_ok() {
        let close = talk(&mut socket, session, worker, &to_session, &budget).await;
        // First, so that the room knows at once.
        let _ = worker.send(Signal::Closed { session }).await;
        match close {
            Some((
                CloseCode::Size | CloseCode::Unsupported | CloseCode::Protocol | CloseCode::Invalid,
                _,
            )) => {
                front_end.counters.sessions_malformed.fetch_add(1, Ordering::Relaxed);
            }
            None => {
                front_end.counters.sessions_silent.fetch_add(1, Ordering::Relaxed);
            }
            Some(_) => {}
        }
        if let Some((code, reason)) = close {
            end(socket, code, reason).await;
        }
    }
}

/// Moves frames until the session ends. Returns the close code to send; `None`: the client is silent, nobody would read it.
async fn talk(
    socket: &mut Socket,
    session: SessionId,
    worker: &Sender<Signal>,
    to_session: &Receiver<ToSession>,
    budget: &Budget,
) -> Option<(CloseCode, String)> {
    let mut heard = Instant::now();
    let mut ticks = Timer::interval(PING_INTERVAL);
    loop {
        let from_worker = async { Happening::FromWorker(to_session.recv().await.ok()) };
        let from_client = async { Happening::FromClient(socket.next().await) };
        let tick = async {
            ticks.next().await;
            Happening::Tick
        };
        let message = match or(from_worker, or(from_client, tick)).await {
            Happening::FromWorker(Some(message)) => {
                budget.give(message.cost_bytes());
                match message {
                    ToSession::Text(text) => Message::text(text),
                    ToSession::Close { code, reason } => return Some((code.into(), reason)),
                }
            }
            Happening::FromWorker(None) => return Some((CloseCode::Policy, "reads too slowly".to_owned())),
            Happening::FromClient(Some(Ok(message))) => {
                heard = Instant::now();
                match message {
                    Message::Text(text) => {
                        let text = text.as_str().to_owned();
                        if worker.send(Signal::Message { session, text }).await.is_err() {
                            return Some((CloseCode::Away, "the server stops".to_owned()));
                        }
                    }
                    Message::Binary(_) => {
                        return Some((CloseCode::Unsupported, "text frames only".to_owned()));
                    }
                    // Reading on sends the answers to pings and to a close frame, after which the socket has ended.
                    Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => {}
                }
                continue;
            }
            Happening::FromClient(Some(Err(error))) => return Some(close_code(&error)),
            Happening::FromClient(None) => return Some((CloseCode::Normal, String::new())),
            Happening::Tick if heard.elapsed() > SILENCE_TIMEOUT => return None,
            Happening::Tick => Message::Ping(Default::default()),
        };
        let sent = async { socket.send(message).await.is_ok() };
        if !or(sent, async {
            Timer::after(SEND_TIMEOUT).await;
            false
        })
        .await
        {
            return Some((CloseCode::Policy, "reads too slowly".to_owned()));
        }
    }
}

/// Sends a close frame, and reads on for a moment: closing a connection with unread bytes would destroy what was sent.
async fn end(mut socket: Socket, code: CloseCode, reason: String) {
    let ending = async {
        let frame = CloseFrame { code, reason: Utf8Bytes::from(reason) };
        let _ = socket.close(Some(frame)).await;
        let mut stream = socket.into_inner();
        let _ = stream.shutdown(Shutdown::Write);
        let mut discarded = [0; 4096];
        while stream.read(&mut discarded).await.is_ok_and(|count| count > 0) {}
    };
    or(ending, async {
        Timer::after(CLOSE_TIMEOUT).await;
    })
    .await;
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
