//! Clients of one router, each with its own links, and nothing between them and the `Sfu` but typed requests: for tests that compare
//! what the core says with what the links did.
mod client;
#[cfg(test)]
mod economy;
#[cfg(test)]
mod loss;
#[cfg(test)]
mod senders;
#[cfg(test)]
mod traps;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sansfu::config::Config;
use sansfu::id::{ConsumerId, ProducerId, RouterId};
use sansfu::model::{ConsumerOptions, ProducerOptions, RouterOptions};
use sansfu::ortc::{MediaKind, RtpCapabilities, default_media_codecs};
use sansfu::srtp::SrtpProfile;

pub use client::MediaClient;

use crate::fixed_dtls::FixedDtls;
use crate::net::LinkConfig;
use crate::null_crypto::NullCrypto;
use crate::peer::media::{RtpReceiver, RtpSender, TrackSpec};
use crate::world::{Host, World, config};

/// How long a client may take to connect.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// A router and its clients.
#[derive(Debug)]
pub struct Party {
    /// What they live in.
    pub world: World<MediaClient>,
    router: RouterId,
    capabilities: RtpCapabilities,
    tracks: BTreeMap<ProducerId, TrackSpec>,
    seed: u64,
}

impl Party {
    /// A router without clients. Nothing is encrypted, so that crowds are cheap.
    ///
    /// # Panics
    /// If something is refused, as everywhere here.
    pub fn new(seed: u64) -> Self {
        let config = Config {
            dtls_backend: Some(Arc::new(FixedDtls::new(SrtpProfile::AeadAes256Gcm))),
            srtp_crypto: Arc::new(NullCrypto),
            ..config()
        };
        let mut world = World::new(config, seed);
        let options = RouterOptions { media_codecs: default_media_codecs(), ..RouterOptions::default() };
        let router = world.sfu.create_router(world.now, options).expect("a router");
        let capabilities = world.sfu.router_rtp_capabilities(router).expect("capabilities").clone();
        Party { world, router, capabilities, tracks: BTreeMap::new(), seed }
    }

    /// A client that begins to connect, with a link of the same kind either way.
    pub fn invite(&mut self, link: LinkConfig) -> usize {
        let seed = self.seed * 1_000 + self.world.hosts.len() as u64;
        let client = MediaClient::new(&mut self.world.sfu, self.world.now, self.router, seed);
        let index = self.world.add(client, link);
        self.world.drain();
        index
    }

    /// A client that has connected.
    pub fn join(&mut self, link: LinkConfig) -> usize {
        let index = self.invite(link);
        let connected = |world: &World<MediaClient>| world.hosts[index].client.is_connected();
        assert!(self.world.run_until(CONNECT_WITHIN, connected), "it does not connect");
        index
    }

    /// The client publishes a track.
    pub fn publish(&mut self, index: usize, track: TrackSpec) -> ProducerId {
        self.publish_with(index, track, None)
    }

    /// The same, with the shortest time between two requests for keyframes, in ms.
    pub fn publish_with(&mut self, index: usize, track: TrackSpec, delay_ms: Option<u32>) -> ProducerId {
        let now = self.world.now;
        let client = &mut self.world.hosts[index].client;
        let parameters = serde_json::from_value(track.rtp_parameters(client.seed)).expect("parameters");
        let options = ProducerOptions {
            kind: if track.codec.is_video() { MediaKind::Video } else { MediaKind::Audio },
            rtp_parameters: parameters,
            paused: false,
            key_frame_request_delay_ms: delay_ms,
            app_data: serde_json::Value::Null,
        };
        let id = self.world.sfu.produce(now, client.transport, options).expect("a producer");
        client.send(RtpSender::new(track.clone(), client.seed, now));
        self.tracks.insert(id, track);
        self.world.drain();
        self.world.wake(index);
        id
    }

    /// The client consumes what another one publishes.
    pub fn consume(&mut self, index: usize, producer: ProducerId) -> ConsumerId {
        let now = self.world.now;
        let client = &mut self.world.hosts[index].client;
        let options = ConsumerOptions::new(producer, self.capabilities.clone());
        let id = self.world.sfu.consume(now, client.transport, options).expect("a consumer");
        let parameters = self.world.sfu.consumer(id).expect("it was just made").rtp_parameters;
        let receiver = RtpReceiver::new(&parameters, self.tracks[&producer].clone(), now);
        client.receive(&parameters, receiver);
        self.world.drain();
        self.world.wake(index);
        id
    }

    /// Lets time pass.
    pub fn pass(&mut self, seconds: u64) {
        self.world.run_for(Duration::from_secs(seconds));
    }

    /// A client with its links.
    pub fn host(&mut self, index: usize) -> &mut Host<MediaClient> {
        &mut self.world.hosts[index]
    }

    /// A client.
    pub fn client(&self, index: usize) -> &MediaClient {
        &self.world.hosts[index].client
    }
}
