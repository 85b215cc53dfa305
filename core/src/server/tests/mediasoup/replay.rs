//! The recordings, played again.
use super::*;
use crate::event::ConsumerLayers;

/// The session of each peer, what it was told and has not been expected yet, and our name for each recorded consumer.
struct Player {
    world: World,
    sessions: BTreeMap<String, SessionId>,
    told: BTreeMap<String, Vec<Value>>,
    consumers: BTreeMap<u64, u64>,
}

/// Plays a recording; returns what we tell beyond it, as `peer method`, in its order.
fn play(recording: &Value) -> Vec<String> {
    let log = recording["log"].as_array().unwrap();
    let codecs = log[0]["response"]["rtpCapabilities"]["codecs"].as_array().unwrap();
    let media = codecs.iter().filter(|codec| codec["name"] != "rtx");
    let media = media.map(|codec| RtpCodecCapability::from_json(codec).unwrap()).collect();
    let mut player = Player {
        world: World::with_codecs(media, Limits::default()),
        sessions: BTreeMap::new(),
        told: BTreeMap::new(),
        consumers: BTreeMap::new(),
    };
    let mut beyond = Vec::new();
    for (index, entry) in log.iter().enumerate() {
        let context = format!("entry {index}: {}", entry["message"]["method"]);
        match (entry["dir"].as_str().unwrap(), entry["type"].as_str().unwrap()) {
            ("client->server", "request") => player.request(entry, &context),
            ("client->server", _) => player.notify(entry),
            _ => player.expect(entry, &context, &mut beyond),
        }
    }
    for (peer, session) in player.sessions.clone() {
        player.listen(&peer, session);
    }
    for (peer, told) in &player.told {
        beyond.extend(told.iter().map(|message| named(peer, message)));
    }
    beyond
}

fn named(peer: &str, message: &Value) -> String {
    format!("{peer} {}", message["method"].as_str().unwrap())
}

impl Player {
    fn session(&mut self, entry: &Value) -> (String, SessionId) {
        let peer = entry["peer"].as_str().unwrap().to_owned();
        let session = match self.sessions.get(&peer) {
            Some(session) => *session,
            None => self.world.open("r", &peer),
        };
        self.sessions.insert(peer.clone(), session);
        (peer, session)
    }

    /// The message with our ids in place of the recorded consumers'.
    fn ours(&self, message: &Value) -> Value {
        let mut message = message.clone();
        if let Some(id) = message["id"].as_u64().and_then(|id| self.consumers.get(&id)) {
            message["id"] = json!(id);
        }
        message
    }

    fn request(&mut self, entry: &Value, context: &str) {
        let (_, session) = self.session(entry);
        let answer = self.world.ask(session, &self.ours(&entry["message"]));
        match (entry.get("error"), &answer) {
            (Some(error), _) => assert_eq!(answer.as_ref().unwrap_err(), error, "{context}"),
            (None, Err(error)) => panic!("{context}: {error}"),
            (None, Ok(answer)) if entry["response"] == "(undefined)" => assert_eq!(answer, &json!({})),
            (None, Ok(answer)) => {
                let mut recorded = entry["response"].clone();
                self.learn(&recorded, answer);
                if context.contains("enableConsumer") && answer["paused"] == true {
                    // The worker of the recording was a fake, which does not say that a source is paused.
                    recorded["paused"] = json!(true);
                }
                assert_eq!(comparable(answer), comparable(&recorded), "{context}");
            }
        }
    }

    fn notify(&mut self, entry: &Value) {
        let (_, session) = self.session(entry);
        let message = self.ours(&entry["message"]);
        self.world.tell(session, &message);
    }

    /// What is told in the recording must be told here: by itself, by time, or when the server does what it did there.
    fn expect(&mut self, entry: &Value, context: &str, beyond: &mut Vec<String>) {
        let (peer, session) = self.session(entry);
        let mut recorded = entry["message"].clone();
        self.listen(&peer, session);
        let method = recorded["method"].as_str().unwrap().to_owned();
        let is_there = |player: &Player| player.told[&peer].iter().any(|told| told["method"] == method);
        if !is_there(self) {
            self.cause(&peer, &recorded);
            self.listen(&peer, session);
        }
        assert!(is_there(self), "{context} is not told, but {:?}", self.told[&peer]);
        let told = self.told.get_mut(&peer).unwrap();
        let at = told.iter().position(|told| told["method"] == method).unwrap();
        beyond.extend(told.drain(..at).map(|message| named(&peer, &message)));
        let told = told.remove(0);
        self.learn(&json!([recorded]), &json!([told]));
        if method == "newConsumer" && told["paused"] == true {
            recorded["paused"] = json!(true);
        }
        assert_eq!(comparable(&told), comparable(&self.ours(&recorded)), "{context}");
    }

    fn listen(&mut self, peer: &str, session: SessionId) {
        let told = self.world.told(session);
        self.told.entry(peer.to_owned()).or_default().extend(told);
    }

    /// Does what the server of the recording must have done.
    fn cause(&mut self, peer: &str, recorded: &Value) {
        let message = self.ours(recorded);
        let id = message["id"].as_u64().map_or(0, |id| u32::try_from(id).unwrap());
        let app_data = message["appData"].clone();
        let action = match message["method"].as_str().unwrap() {
            "transportStats" | "producerStats" | "consumerStats" => {
                return self.world.pass(Duration::from_secs(1));
            }
            "consumerEffectiveProfileChanged" => return self.flow(),
            "closed" if app_data.is_null() => {
                self.world.server.close_room(self.world.now, "r").unwrap();
                return self.world.drain();
            }
            "closed" => Action::ClosePeer { app_data },
            "transportClosed" => Action::CloseTransport { id, app_data },
            "producerClosed" => Action::CloseProducer { id, app_data },
            "producerPaused" => Action::PauseProducer { id, app_data },
            "producerResumed" => Action::ResumeProducer { id, app_data },
            "consumerPaused" => Action::PauseConsumer { id, app_data },
            "consumerResumed" => Action::ResumeConsumer { id, app_data },
            "consumerPreferredProfileSet" => {
                let profile = serde_json::from_value(message["profile"].clone()).unwrap();
                Action::SetConsumerPreferredProfile { id, profile }
            }
            other => panic!("{peer} waits for {other}"),
        };
        self.world.act(peer, action).unwrap();
    }

    /// The media machine reports that the last consumer sends something.
    fn flow(&mut self) {
        let World { server, now, .. } = &mut self.world;
        let consumers: Vec<_> = server.rooms.consumers_of("r", "bob");
        let layers = Some(ConsumerLayers { spatial_layer: 0, temporal_layer: None });
        let event = Event::ConsumerLayersChanged { consumer_id: *consumers.last().unwrap(), layers };
        server.rooms.handle_event(&mut server.sfu, *now, &event);
        self.world.drain();
    }

    /// Pairs the consumers of two equal messages.
    fn learn(&mut self, recorded: &Value, ours: &Value) {
        match (recorded, ours) {
            (Value::Array(recorded), Value::Array(ours)) => {
                assert_eq!(recorded.len(), ours.len());
                recorded.iter().zip(ours).for_each(|(recorded, ours)| self.learn(recorded, ours));
            }
            (Value::Object(members), _) => {
                if let (true, Some(recorded), Some(ours)) =
                    (members.contains_key("rtpParameters"), recorded["id"].as_u64(), ours["id"].as_u64())
                {
                    self.consumers.insert(recorded, ours);
                }
                for name in ["peers", "consumers"].iter().filter(|name| members.contains_key(**name)) {
                    self.learn(&recorded[name], &ours[name]);
                }
            }
            _ => {}
        }
    }
}

/// A message without what is chosen anew each time, and without TCP, which there is not yet.
fn comparable(message: &Value) -> Value {
    match message {
        Value::Array(items) => {
            items.iter().filter(|item| item["protocol"] != "tcp").map(comparable).collect()
        }
        Value::Object(members) => {
            let kept = |(name, value): (&String, &Value)| {
                let value = match (name.as_str(), value) {
                    ("usernameFragment" | "password", Value::String(_)) => json!("…"),
                    ("ssrc" | "port" | "priority", Value::Number(_)) => json!(0),
                    ("fingerprints", Value::Array(_)) | ("stats", Value::Array(_)) => json!("…"),
                    ("id", Value::Number(_)) if members.contains_key("rtpParameters") => json!(0),
                    (_, value) => comparable(value),
                };
                (name.clone(), value)
            };
            Value::Object(members.iter().map(kept).collect())
        }
        other => other.clone(),
    }
}

/// The worker of the recordings was a fake, which never says that a source has closed or was paused.
const NOBODY_SAID: &[&str] = &["consumerClosed", "consumerPaused", "consumerResumed"];

#[test]
fn a_call_of_two_with_a_spy() {
    let beyond = play(&recording!("join-produce-consume-vp8"));
    let expected = [
        "bob consumerClosed",
        "bob consumerClosed",
        "bob consumerPaused",
        "bob consumerResumed",
        "spy consumerClosed",
    ];
    let mut sorted = beyond.clone();
    sorted.sort();
    assert_eq!(sorted, expected, "{beyond:?}");
    assert!(beyond.iter().all(|told| NOBODY_SAID.contains(&told.split(' ').nth(1).unwrap())));
}

#[test]
fn consumers_come_later_and_transports_come_back() {
    let beyond = play(&recording!("newconsumer-transportclosed"));
    assert_eq!(beyond, ["bob consumerClosed", "bob consumerClosed"]);
}

#[test]
fn simulcast() {
    assert_eq!(play(&recording!("produce-vp8-simulcast")), Vec::<String>::new());
}
