//! What a client can ask for, read from the method and the data of its request.
use serde::Serialize;
use serde_json::{Map, Value};

use crate::event::ConsumerLayers;
use crate::id::{ConsumerId, ProducerId, TransportId};
use crate::model::ProducerOptions;
use crate::ortc::{DtlsParameters, MediaKind, RtpCapabilities, RtpParameters};

use super::Limits;
use super::fields::{Fields, within};
use super::refusal::Refusal;

/// A request of a client, well-formed.
#[derive(Debug, Clone)]
pub(super) enum Command {
    GetRouterRtpCapabilities,
    CreateWebRtcTransport(Direction),
    ConnectWebRtcTransport { transport: TransportId, dtls_parameters: DtlsParameters },
    Join(Box<Join>),
    Produce { transport: TransportId, options: Box<ProducerOptions> },
    CloseProducer(ProducerId),
    PauseProducer(ProducerId),
    ResumeProducer(ProducerId),
    PauseConsumer(ConsumerId),
    ResumeConsumer(ConsumerId),
    SetConsumerPreferredLayers { consumer: ConsumerId, layers: ConsumerLayers },
    SetConsumerPriority { consumer: ConsumerId, priority: u8 },
    RequestConsumerKeyFrame(ConsumerId),
    ChangeDisplayName(String),
    RestartIce(TransportId),
    GetTransportStats(TransportId),
    GetProducerStats(ProducerId),
    GetConsumerStats(ConsumerId),
}

/// What a transport of a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Direction {
    pub(super) producing: bool,
    pub(super) consuming: bool,
}

/// The arguments of `join`.
#[derive(Debug, Clone)]
pub(super) struct Join {
    pub(super) display_name: String,
    pub(super) device: Device,
    /// `None`: the peer consumes nothing by this session and wants to be told of producers instead.
    pub(super) rtp_capabilities: Option<RtpCapabilities>,
}

/// What a peer runs on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Device {
    /// A short name for programs, such as `chrome`.
    pub(super) flag: String,
    /// A name for people.
    pub(super) name: String,
    /// Its version; empty if not known.
    pub(super) version: String,
}

impl Device {
    /// What a client of version 2 may say of itself: `device` in its `appData`, with texts of at most `max_bytes`.
    pub(super) fn of_app_data(app_data: &Value, max_bytes: usize) -> Self {
        let given = app_data.get("device").and_then(Value::as_object);
        given.and_then(|device| parse_device(Fields(device), max_bytes).ok()).unwrap_or_default()
    }

    /// A publisher of whom nothing is known but that it came by WHIP.
    pub(super) fn whip() -> Self {
        Device { flag: "whip".to_owned(), name: "WHIP".to_owned(), version: String::new() }
    }
}

/// Methods of the demo that this server does not have yet, and what is missing for them.
const NOT_SUPPORTED: [(&str, &str); 5] = [
    ("produceData", "producing data"),
    ("getDataProducerStats", "producing data"),
    ("getDataConsumerStats", "consuming data"),
    ("applyNetworkThrottle", "network throttling"),
    ("resetNetworkThrottle", "network throttling"),
];

impl Command {
    /// Reads a request.
    pub(super) fn parse(method: &str, data: &Map<String, Value>, limits: &Limits) -> Result<Self, Refusal> {
        let fields = Fields(data);
        let transport = || fields.id("transportId", "transport");
        let producer = || fields.id("producerId", "producer");
        let consumer = || fields.id("consumerId", "consumer");
        Ok(match method {
            "getRouterRtpCapabilities" => Command::GetRouterRtpCapabilities,
            "createWebRtcTransport" => Command::CreateWebRtcTransport(parse_direction(fields)?),
            "connectWebRtcTransport" => parse_connect(transport()?, fields)?,
            "join" => Command::Join(Box::new(parse_join(fields, limits)?)),
            "produce" => parse_produce(transport()?, fields, limits)?,
            "closeProducer" => Command::CloseProducer(producer()?),
            "pauseProducer" => Command::PauseProducer(producer()?),
            "resumeProducer" => Command::ResumeProducer(producer()?),
            "pauseConsumer" => Command::PauseConsumer(consumer()?),
            "resumeConsumer" => Command::ResumeConsumer(consumer()?),
            "setConsumerPreferredLayers" => parse_preferred_layers(consumer()?, fields)?,
            "setConsumerPriority" => {
                Command::SetConsumerPriority { consumer: consumer()?, priority: fields.byte("priority", 1)? }
            }
            "requestConsumerKeyFrame" => Command::RequestConsumerKeyFrame(consumer()?),
            "changeDisplayName" => {
                Command::ChangeDisplayName(fields.string("displayName", limits.max_name_bytes)?.to_owned())
            }
            "restartIce" => Command::RestartIce(transport()?),
            "getTransportStats" => Command::GetTransportStats(transport()?),
            "getProducerStats" => Command::GetProducerStats(producer()?),
            "getConsumerStats" => Command::GetConsumerStats(consumer()?),
            _ => return Err(refuse_method(method)),
        })
    }
}

fn refuse_method(method: &str) -> Refusal {
    match NOT_SUPPORTED.into_iter().find(|(name, _)| *name == method) {
        Some((_, what)) => Refusal::not_supported(what),
        None => {
            let shown: String = method.chars().take(64).collect();
            Refusal { code: 404, reason: format!("unknown method '{shown}'") }
        }
    }
}

fn parse_direction(fields: Fields<'_>) -> Result<Direction, Refusal> {
    let direction = Direction { producing: fields.flag("producing")?, consuming: fields.flag("consuming")? };
    fields.expect_object_or_nothing("sctpCapabilities")?;
    if fields.flag("forceTcp")? {
        return Err(Refusal::not_supported("forceTcp: ICE over TCP"));
    }
    if direction == (Direction { producing: false, consuming: false }) {
        return Err(Refusal::invalid("producing or consuming must be true"));
    }
    Ok(direction)
}

fn parse_connect(transport: TransportId, fields: Fields<'_>) -> Result<Command, Refusal> {
    let parameters = fields.required("dtlsParameters")?;
    let dtls_parameters = within("dtlsParameters", DtlsParameters::from_json(parameters))?;
    Ok(Command::ConnectWebRtcTransport { transport, dtls_parameters })
}

fn parse_join(fields: Fields<'_>, limits: &Limits) -> Result<Join, Refusal> {
    let capabilities = fields.get("rtpCapabilities");
    let rtp_capabilities =
        capabilities.map(|value| within("rtpCapabilities", RtpCapabilities::from_json(value))).transpose()?;
    fields.expect_object_or_nothing("sctpCapabilities")?;
    Ok(Join {
        display_name: fields.string("displayName", limits.max_name_bytes)?.to_owned(),
        device: within("device", parse_device(fields.object("device")?, limits.max_name_bytes))?,
        rtp_capabilities,
    })
}

fn parse_device(fields: Fields<'_>, max_bytes: usize) -> Result<Device, Refusal> {
    Ok(Device {
        flag: fields.string("flag", max_bytes)?.to_owned(),
        name: fields.string("name", max_bytes)?.to_owned(),
        version: fields.optional_string("version", max_bytes)?.to_owned(),
    })
}

fn parse_produce(transport: TransportId, fields: Fields<'_>, limits: &Limits) -> Result<Command, Refusal> {
    let kind = match fields.string("kind", usize::MAX)? {
        "audio" => MediaKind::Audio,
        "video" => MediaKind::Video,
        _ => return Err(Refusal::invalid("kind must be 'audio' or 'video'")),
    };
    let parameters = within("rtpParameters", RtpParameters::from_json(fields.required("rtpParameters")?))?;
    fields.expect_object_or_nothing("appData")?;
    let app_data = fields.get("appData").cloned().unwrap_or_else(|| Value::Object(Map::new()));
    if app_data.to_string().len() > limits.max_app_data_bytes {
        let reason = format!("appData must not be longer than {} bytes", limits.max_app_data_bytes);
        return Err(Refusal::invalid(reason));
    }
    let options = ProducerOptions { app_data, ..ProducerOptions::new(kind, parameters) };
    Ok(Command::Produce { transport, options: Box::new(options) })
}

fn parse_preferred_layers(consumer: ConsumerId, fields: Fields<'_>) -> Result<Command, Refusal> {
    let temporal_layer = match fields.get("temporalLayer") {
        None => None,
        Some(_) => Some(fields.byte("temporalLayer", 0)?),
    };
    let layers = ConsumerLayers { spatial_layer: fields.byte("spatialLayer", 0)?, temporal_layer };
    Ok(Command::SetConsumerPreferredLayers { consumer, layers })
}
