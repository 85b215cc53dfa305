//! The messages of clients, read. A request wants an answer, a notification none.
use std::time::Duration;

use serde_json::{Map, Value};

use super::error::MediasoupError;
use super::path::PathOptions;
use super::profile::Profile;
use crate::ortc::{DtlsParameters, MediaKind};
use crate::room::fields::{Fields, within};
use crate::room::limits::Limits;
use crate::room::{ID_RULE, is_valid_id};

/// The shortest time between two reports of statistics, and what it is unless a longer one is asked for.
const MIN_REPORT_INTERVAL_MS: u64 = 1_000;

/// A request, well-formed.
#[derive(Debug)]
pub(super) enum Request {
    QueryRoom,
    Join(Box<Join>),
    CreateTransport(Box<CreateTransport>),
    RestartTransport(u32),
    CreateProducer(Box<CreateProducer>),
    EnableConsumer(EnableConsumer),
}

/// The arguments of `join`.
#[derive(Debug)]
pub(super) struct Join {
    pub(super) peer_name: String,
    pub(super) rtp_capabilities: Value,
    pub(super) spy: bool,
    pub(super) app_data: Value,
}

/// The arguments of `createTransport`.
#[derive(Debug)]
pub(super) struct CreateTransport {
    /// `None`: the server chooses one.
    pub(super) id: Option<u32>,
    pub(super) sends: bool,
    pub(super) options: PathOptions,
    pub(super) dtls_parameters: Option<DtlsParameters>,
    pub(super) app_data: Value,
}

/// The arguments of `createProducer`.
#[derive(Debug)]
pub(super) struct CreateProducer {
    /// `None`: the server chooses one.
    pub(super) id: Option<u32>,
    pub(super) transport: u32,
    pub(super) kind: MediaKind,
    pub(super) rtp_parameters: Value,
    pub(super) paused: bool,
    pub(super) app_data: Value,
}

/// The arguments of `enableConsumer`.
#[derive(Debug)]
pub(super) struct EnableConsumer {
    pub(super) id: u32,
    pub(super) transport: u32,
    pub(super) paused: bool,
    pub(super) preferred_profile: Profile,
}

/// A notification, well-formed. `appData` is for server applications; nobody else is told of it, but by `leave`.
#[derive(Debug)]
pub(super) enum Notification {
    Leave { app_data: Value },
    UpdateTransport { id: u32, dtls_parameters: DtlsParameters },
    CloseTransport(u32),
    EnableReports { of: Reported, interval: Duration },
    DisableReports(Reported),
    SetProducerPaused { id: u32, paused: bool },
    CloseProducer(u32),
    SetConsumerPaused { id: u32, paused: bool },
    SetConsumerPreferredProfile { id: u32, profile: Profile },
}

/// What a client can have reports of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::room) enum Reported {
    Transport(u32),
    Producer(u32),
    Consumer(u32),
}

impl Request {
    /// Reads a request.
    pub(super) fn parse(message: &Value, limits: &Limits) -> Result<Self, MediasoupError> {
        let (fields, method) = head(message, "request")?;
        if fields.get("notification").is_some_and(is_truthy) {
            return Err(MediasoupError::wrong_type("a request must not be a notification"));
        }
        match (target(fields)?, method) {
            (Target::Room, "queryRoom") => Ok(Request::QueryRoom),
            (Target::Room, "join") => Ok(Request::Join(Box::new(parse_join(fields, limits)?))),
            (Target::Peer, "createTransport") => {
                Ok(Request::CreateTransport(Box::new(parse_create_transport(fields, limits)?)))
            }
            (Target::Peer, "restartTransport") => Ok(Request::RestartTransport(id(fields, "id")?)),
            (Target::Peer, "createProducer") => {
                Ok(Request::CreateProducer(Box::new(parse_create_producer(fields, limits)?)))
            }
            (Target::Peer, "enableConsumer") => Ok(Request::EnableConsumer(EnableConsumer {
                id: id(fields, "id")?,
                transport: id(fields, "transportId")?,
                paused: fields.flag("paused")?,
                preferred_profile: match fields.get("preferredProfile") {
                    None => Profile::Default,
                    Some(_) => profile(fields, "preferredProfile")?,
                },
            })),
            _ => Err(MediasoupError::other(format!("unknown request method \"{}\"", shown(method)))),
        }
    }
}

impl Notification {
    /// Reads a notification.
    pub(super) fn parse(message: &Value, limits: &Limits) -> Result<Self, MediasoupError> {
        let (fields, method) = head(message, "notification")?;
        if !fields.get("notification").is_some_and(is_truthy) {
            return Err(MediasoupError::wrong_type("a notification must say that it is one"));
        }
        if target(fields)? != Target::Peer {
            return Err(MediasoupError::wrong_type("the target of a notification must be 'peer'"));
        }
        let app_data = app_data(fields, limits)?;
        let own = || id(fields, "id");
        Ok(match method {
            "leave" => Notification::Leave { app_data },
            "updateTransport" => parse_update_transport(fields)?,
            "closeTransport" => Notification::CloseTransport(own()?),
            "enableTransportStats" => enable_reports(Reported::Transport(own()?), fields),
            "disableTransportStats" => Notification::DisableReports(Reported::Transport(own()?)),
            "pauseProducer" => Notification::SetProducerPaused { id: own()?, paused: true },
            "resumeProducer" => Notification::SetProducerPaused { id: own()?, paused: false },
            "closeProducer" => Notification::CloseProducer(own()?),
            "enableProducerStats" => enable_reports(Reported::Producer(own()?), fields),
            "disableProducerStats" => Notification::DisableReports(Reported::Producer(own()?)),
            "pauseConsumer" => Notification::SetConsumerPaused { id: own()?, paused: true },
            "resumeConsumer" => Notification::SetConsumerPaused { id: own()?, paused: false },
            "setConsumerPreferredProfile" => {
                let profile = profile(fields, "profile")?;
                Notification::SetConsumerPreferredProfile { id: own()?, profile }
            }
            "enableConsumerStats" => enable_reports(Reported::Consumer(own()?), fields),
            "disableConsumerStats" => Notification::DisableReports(Reported::Consumer(own()?)),
            _ => {
                let text = format!("unknown notification method \"{}\"", shown(method));
                return Err(MediasoupError::other(text));
            }
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Room,
    Peer,
}

fn head<'a>(message: &'a Value, what: &str) -> Result<(Fields<'a>, &'a str), MediasoupError> {
    let Value::Object(object) = message else {
        return Err(MediasoupError::wrong_type(format!("a {what} must be an object")));
    };
    let method = object.get("method").and_then(Value::as_str);
    let method = method.ok_or_else(|| MediasoupError::wrong_type("method must be a string"))?;
    Ok((Fields(object), method))
}

fn target(fields: Fields<'_>) -> Result<Target, MediasoupError> {
    match fields.get("target").and_then(Value::as_str) {
        Some("room") => Ok(Target::Room),
        Some("peer") => Ok(Target::Peer),
        _ => Err(MediasoupError::wrong_type("target must be 'room' or 'peer'")),
    }
}

/// As JavaScript takes a value for a condition.
fn is_truthy(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false))
        && value != &Value::from(0)
        && value != &Value::from("")
}

fn shown(method: &str) -> String {
    method.chars().take(64).collect()
}

fn id(fields: Fields<'_>, name: &str) -> Result<u32, MediasoupError> {
    let number = fields.required(name)?.as_u64().and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| MediasoupError::wrong_type(format!("{name} must be an integer of 32 bits")))
}

fn optional_id(fields: Fields<'_>, name: &str) -> Result<Option<u32>, MediasoupError> {
    if fields.get(name).is_none() { Ok(None) } else { id(fields, name).map(Some) }
}

fn profile(fields: Fields<'_>, name: &str) -> Result<Profile, MediasoupError> {
    let text = fields.required(name)?.as_str();
    text.and_then(Profile::parse).ok_or_else(|| {
        MediasoupError::wrong_type(format!("{name} must be 'default', 'low', 'medium' or 'high'"))
    })
}

/// Any JSON; `null` when absent.
fn app_data(fields: Fields<'_>, limits: &Limits) -> Result<Value, MediasoupError> {
    let Some(value) = fields.get("appData") else { return Ok(Value::Null) };
    if value.to_string().len() > limits.max_app_data_bytes {
        let text = format!("appData must not be longer than {} bytes", limits.max_app_data_bytes);
        return Err(MediasoupError::wrong_type(text));
    }
    Ok(value.clone())
}

fn dtls_parameters(value: &Value) -> Result<DtlsParameters, MediasoupError> {
    Ok(within("dtlsParameters", DtlsParameters::from_json(value))?)
}

fn refuse_plain(fields: Fields<'_>) -> Result<(), MediasoupError> {
    match fields.get("plainRtpParameters") {
        None => Ok(()),
        Some(_) => Err(MediasoupError::other("plain RTP transports are not supported")),
    }
}

fn parse_join(fields: Fields<'_>, limits: &Limits) -> Result<Join, MediasoupError> {
    let peer_name = fields.get("peerName").and_then(Value::as_str).filter(|name| !name.is_empty());
    let peer_name = peer_name.ok_or_else(|| MediasoupError::wrong_type("peerName must be a string"))?;
    if !is_valid_id(peer_name) {
        return Err(MediasoupError::wrong_type(format!("peerName {ID_RULE}")));
    }
    Ok(Join {
        peer_name: peer_name.to_owned(),
        rtp_capabilities: fields.required("rtpCapabilities")?.clone(),
        spy: fields.flag("spy")?,
        app_data: app_data(fields, limits)?,
    })
}

fn parse_create_transport(fields: Fields<'_>, limits: &Limits) -> Result<CreateTransport, MediasoupError> {
    let sends = match fields.get("direction").and_then(Value::as_str) {
        Some("send") => true,
        Some("recv") => false,
        _ => return Err(MediasoupError::wrong_type("direction must be 'send' or 'recv'")),
    };
    refuse_plain(fields)?;
    Ok(CreateTransport {
        id: optional_id(fields, "id")?,
        sends,
        options: PathOptions::parse(fields)?,
        dtls_parameters: fields.get("dtlsParameters").map(dtls_parameters).transpose()?,
        app_data: app_data(fields, limits)?,
    })
}

fn parse_create_producer(fields: Fields<'_>, limits: &Limits) -> Result<CreateProducer, MediasoupError> {
    let kind = fields.get("kind").and_then(Value::as_str).unwrap_or_default();
    Ok(CreateProducer {
        id: optional_id(fields, "id")?,
        transport: id(fields, "transportId")?,
        kind: kind
            .parse()
            .map_err(|_| MediasoupError::wrong_type(format!("unsupported kind: {}", shown(kind))))?,
        rtp_parameters: fields.get("rtpParameters").cloned().unwrap_or_default(),
        paused: fields.flag("paused")?,
        app_data: app_data(fields, limits)?,
    })
}

fn parse_update_transport(fields: Fields<'_>) -> Result<Notification, MediasoupError> {
    refuse_plain(fields)?;
    let dtls_parameters = dtls_parameters(fields.required("dtlsParameters")?)?;
    Ok(Notification::UpdateTransport { id: id(fields, "id")?, dtls_parameters })
}

fn enable_reports(of: Reported, fields: Fields<'_>) -> Notification {
    let asked = fields.get("interval").and_then(Value::as_u64).unwrap_or(0);
    let interval_ms = asked.clamp(MIN_REPORT_INTERVAL_MS, u64::from(u32::MAX));
    Notification::EnableReports { of, interval: Duration::from_millis(interval_ms) }
}

/// The envelope of everything that the server tells a client.
pub(in crate::room) fn notification(method: &str, members: Value) -> Value {
    let mut message = Map::new();
    message.insert("method".to_owned(), method.into());
    message.insert("target".to_owned(), "peer".into());
    message.insert("notification".to_owned(), true.into());
    if let Value::Object(members) = without_null(members) {
        message.extend(members);
    }
    Value::Object(message)
}

/// Leaves out an `appData` that there is not, as JavaScript leaves out what is undefined.
pub(super) fn without_null(mut members: Value) -> Value {
    if let Value::Object(members) = &mut members
        && members.get("appData").is_some_and(Value::is_null)
    {
        members.remove("appData");
    }
    members
}
