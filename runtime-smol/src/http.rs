//! HTTP: one thread accepts connections, reads requests, and answers them or hands them to the worker that has the room.
use std::convert::Infallible;
use std::net::TcpListener;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_io::{Async, Timer};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use sansfu::server::edge::{self, Route};
use sansfu::server::settings::Settings;
use sansfu::server::{HttpResponse, Secret};
use sansfu_runtime::{Counters, OwnedRequest, Signal, page};
use smol::LocalExecutor;
use smol::channel::{self, Receiver, Sender};
use smol::future::or;
use smol::net::TcpStream;
use smol_hyper::rt::{FuturesIo, SmolTimer};

use crate::session;

/// For the head of a request, from the first to the last byte, and for an idle connection between two requests.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// For the body of a request.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// For a worker's answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// After that a connection is closed at the end of a request, and after as long again in any case: for those who do not read.
const CONNECTION_LIFETIME: Duration = Duration::from_secs(60);
/// How long the end of the server waits for its connections.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);
/// The longest head of a request.
const MAX_HEAD_BYTES: usize = 32 << 10;
/// What is read of a body that is too long before it is refused: who does not read what is sent may never see the refusal.
const MAX_DISCARDED_BYTES: usize = 16 << 20;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct FrontEnd {
    pub(crate) settings: Settings,
    pub(crate) workers: Vec<Sender<Signal>>,
    pub(crate) counters: Arc<Counters>,
    next_session: AtomicU64,
}

/// One connection of the number that is allowed, for as long as it lives.
type Permit = Rc<()>;

impl FrontEnd {
    /// The front end of a server with these workers.
    pub(crate) fn new(
        settings: &Settings,
        workers: Vec<Sender<Signal>>,
        counters: Arc<Counters>,
    ) -> FrontEnd {
        FrontEnd { settings: settings.clone(), workers, counters, next_session: AtomicU64::new(1) }
    }

    /// The worker that has a room.
    pub(crate) fn worker_of(&self, room_id: &str) -> &Sender<Signal> {
        &self.workers[edge::shard(room_id, self.workers.len())]
    }

    /// A number that no session has had.
    pub(crate) fn next_session(&self) -> u64 {
        self.next_session.fetch_add(1, Ordering::Relaxed)
    }
}

/// Accepts connections until `stopped` closes, then gives those that are open a moment to end.
pub(crate) fn run(listener: TcpListener, front_end: FrontEnd, stopped: &Receiver<()>) {
    let executor = Rc::new(LocalExecutor::new());
    let permits: Permit = Rc::new(());
    let main = async {
        let front_end = Rc::new(front_end);
        match Async::new(listener) {
            Ok(listener) => {
                or(accept(&listener, &front_end, &executor, &permits), wait_closed(stopped)).await
            }
            Err(error) => panic!("cannot wait for connections: {error}"),
        }
        let ended = async {
            while Rc::strong_count(&permits) > 1 {
                Timer::after(Duration::from_millis(5)).await;
            }
        };
        or(ended, sleep(STOP_TIMEOUT)).await;
    };
    async_io::block_on(executor.run(main));
}

async fn accept(
    listener: &Async<TcpListener>,
    front_end: &Rc<FrontEnd>,
    executor: &Rc<LocalExecutor<'static>>,
    permits: &Permit,
) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, most likely: some will be free again.
                tracing::warn!("cannot accept a connection: {error}");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        if Rc::strong_count(permits) > front_end.settings.max_connections {
            front_end.counters.connections_refused.fetch_add(1, Ordering::Relaxed);
            // As much as fits into an empty socket buffer; there is no waiting for those that are too many.
            let refusal: &[u8] =
                b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _ = std::io::Write::write(&mut stream.get_ref(), refusal);
            continue;
        }
        let connection = serve(TcpStream::from(stream), front_end.clone(), executor.clone(), permits.clone());
        executor.spawn(connection).detach();
    }
}

async fn serve(
    stream: TcpStream,
    front_end: Rc<FrontEnd>,
    executor: Rc<LocalExecutor<'static>>,
    permit: Permit,
) {
    // Answers are written whole; waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let (front_end, executor, permit) = (front_end.clone(), executor.clone(), permit.clone());
        async move { Ok::<_, Infallible>(answer(request, front_end, &executor, permit).await) }
    });
    let connection = http1::Builder::new()
        .timer(SmolTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(FuturesIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = async {
        if let Err(error) = connection.as_mut().await {
            tracing::debug!("connection: {error}");
        }
        true
    };
    if or(ended, async {
        sleep(CONNECTION_LIFETIME).await;
        false
    })
    .await
    {
        return;
    }
    connection.as_mut().graceful_shutdown();
    or(async { drop(connection.await) }, sleep(CONNECTION_LIFETIME)).await;
}

async fn answer(
    mut request: Request<Incoming>,
    front_end: Rc<FrontEnd>,
    executor: &LocalExecutor<'static>,
    permit: Permit,
) -> Response<Full<Bytes>> {
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let protocols =
        is_websocket(request.headers()).then(|| field(request.headers(), "sec-websocket-protocol"));
    let protocols = protocols.map(Option::unwrap_or_default);
    match edge::route(request.method().as_str(), &target, protocols.as_deref()) {
        Route::Respond(response) => convert(response),
        Route::File(name) => file(name),
        Route::Stats => convert(stats(&front_end, request.method().as_str(), &target).await),
        Route::Room { room_id } => convert(forward(&front_end, &room_id, request, target).await),
        Route::WebSocket { room_id, peer_id } => {
            let upgrade = hyper::upgrade::on(&mut request);
            let (parts, _) = request.into_parts();
            let request = Request::from_parts(parts, ());
            let Ok(response) = async_tungstenite::tungstenite::handshake::server::create_response(&request)
            else {
                return convert(HttpResponse::error(400, "malformed WebSocket handshake"));
            };
            let session = async move {
                session::run(&front_end, upgrade, room_id, peer_id).await;
                drop(permit);
            };
            executor.spawn(session).detach();
            let mut response = response.map(|()| Full::default());
            response
                .headers_mut()
                .insert("sec-websocket-protocol", HeaderValue::from_static(edge::SUB_PROTOCOL));
            response
        }
    }
}

async fn forward(
    front_end: &FrontEnd,
    room_id: &str,
    request: Request<Incoming>,
    target: String,
) -> HttpResponse {
    let limit = front_end.settings.limits.max_body_bytes;
    let (parts, body) = request.into_parts();
    // Reading would be the permission that it asks for (RFC 9110 section 10.1.1).
    let awaits_permission = parts.headers.contains_key(header::EXPECT);
    let readable = if awaits_permission { limit } else { MAX_DISCARDED_BYTES };
    if body.size_hint().lower() > readable as u64 {
        return HttpResponse::too_large(limit);
    }
    let body = match or(read_body(body, limit), async {
        sleep(BODY_TIMEOUT).await;
        Err(timed_out())
    })
    .await
    {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    let request = OwnedRequest {
        method: parts.method.as_str().to_owned(),
        target,
        content_type: field(&parts.headers, header::CONTENT_TYPE.as_str()),
        if_match: field(&parts.headers, header::IF_MATCH.as_str()),
        authorization: field(&parts.headers, header::AUTHORIZATION.as_str()).map(Secret::new),
        body,
    };
    ask(front_end.worker_of(room_id), request).await
}

/// Gathers the numbers of all workers, and those of this runtime.
async fn stats(front_end: &FrontEnd, method: &str, target: &str) -> HttpResponse {
    let mut parts = Vec::new();
    for worker in &front_end.workers {
        let request =
            OwnedRequest { method: method.to_owned(), target: target.to_owned(), ..OwnedRequest::default() };
        let response = ask(worker, request).await;
        if response.status != 200 {
            return response;
        }
        parts.push(response.body);
    }
    // The workers have brought theirs up to date, within the last second.
    parts.push(front_end.counters.to_json());
    HttpResponse::json(200, edge::merge_stats(&parts))
}

/// Hands a request to a worker and awaits its answer.
async fn ask(worker: &Sender<Signal>, request: OwnedRequest) -> HttpResponse {
    let (sender, answer) = channel::bounded(1);
    let respond = Box::new(move |response| {
        // Whoever asked may have gone.
        let _ = sender.try_send(response);
    });
    let asked = async {
        worker.send(Signal::Http { request, respond }).await.ok()?;
        answer.recv().await.ok()
    };
    let answer = or(asked, async {
        sleep(ANSWER_TIMEOUT).await;
        None
    })
    .await;
    answer.unwrap_or_else(|| HttpResponse::unavailable("the server stops, or is overloaded"))
}

/// Reads a body of at most `limit` bytes.
async fn read_body(mut body: Incoming, limit: usize) -> Result<Vec<u8>, HttpResponse> {
    let (mut bytes, mut total) = (Vec::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| HttpResponse::error(400, &format!("malformed body: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        total = total.saturating_add(data.len());
        if total <= limit {
            bytes.extend_from_slice(&data);
        } else if total > MAX_DISCARDED_BYTES {
            break;
        }
    }
    if total > limit { Err(HttpResponse::too_large(limit)) } else { Ok(bytes) }
}

fn file(name: &str) -> Response<Full<Bytes>> {
    let Some(file) = page::file(name) else {
        return convert(HttpResponse::not_found("this file is missing"));
    };
    let mut response = Response::new(Full::new(Bytes::from_static(file.content.as_bytes())));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.content_type));
    for (name, value) in page::HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

fn convert(response: HttpResponse) -> Response<Full<Bytes>> {
    let mut converted = Response::new(Full::new(Bytes::from(response.body)));
    *converted.status_mut() =
        StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in response.headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            converted.headers_mut().insert(name, value);
        }
    }
    converted
}

fn timed_out() -> HttpResponse {
    HttpResponse::error(408, "the body did not come in time")
}

/// Whether a request wants to become a WebSocket (RFC 6455 section 4.2.1).
fn is_websocket(headers: &HeaderMap) -> bool {
    let names = |name, value: &str| {
        let fields = headers.get_all(name).iter().filter_map(|field| field.to_str().ok());
        fields.flat_map(|field| field.split(',')).any(|token| token.trim().eq_ignore_ascii_case(value))
    };
    names(header::CONNECTION, "upgrade") && names(header::UPGRADE, "websocket")
}

/// The values of a field, put together (RFC 9110 section 5.2).
fn field(headers: &HeaderMap, name: &str) -> Option<String> {
    let values: Vec<&str> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    (!values.is_empty()).then(|| values.join(", "))
}

async fn sleep(duration: Duration) {
    Timer::after(duration).await;
}

/// Nothing is ever sent on this channel: it closes when the server stops.
async fn wait_closed(stopped: &Receiver<()>) {
    while stopped.recv().await.is_ok() {}
}
