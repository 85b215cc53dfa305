//! A client that does nothing of its own accord: it holds the keys, the script decides.
use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sansfu::dtls::{DtlsBackend, DtlsOutput, DtlsRole, DtlsTransport};
use sansfu::id::{RouterId, TransportId};
use sansfu::model::WebRtcTransportOptions;
use sansfu::ortc::{DtlsParameters, IceParameters};
use sansfu::sfu::Sfu;
use sansfu::srtp::cipher::AwsLcRs;
use sansfu::srtp::{SrtpContexts, SrtpProfile};
use sansfu::wire::rtp;

use super::stun::BindingRequest;
use super::{Endpoint, sfu_address};

/// The time between two binding requests.
const CONSENT_INTERVAL: Duration = Duration::from_secs(5);

/// A client of one transport, with DTLS by any backend and SRTP by hand.
pub struct ScriptedClient {
    /// Its transport at the `Sfu`.
    pub transport: TransportId,
    /// The keys, once there.
    pub srtp: Option<SrtpContexts>,
    /// Decrypted RTP and RTCP packets that came, if they are to be kept.
    pub received: Vec<Vec<u8>>,
    /// Whether they are kept.
    pub keeps_received: bool,
    /// What it is going to send.
    pub outgoing: VecDeque<Vec<u8>>,
    ice: IceParameters,
    dtls: DtlsTransport,
    transactions: u64,
    next_request_at: Instant,
    answered: bool,
}

impl ScriptedClient {
    /// Makes a transport and its client, which begins to connect when it is polled.
    ///
    /// # Panics
    /// If something is refused.
    pub fn new(sfu: &mut Sfu, now: Instant, router: RouterId, backend: Arc<dyn DtlsBackend>) -> Self {
        let transport = sfu
            .create_webrtc_transport(now, router, WebRtcTransportOptions::default())
            .unwrap_or_else(|error| panic!("{error}"));
        let data = sfu.webrtc_transport(transport).unwrap_or_else(|error| panic!("{error}"));
        let own = DtlsParameters {
            role: sansfu::ortc::DtlsRole::Client,
            fingerprints: backend.fingerprints().to_vec(),
        };
        sfu.connect_webrtc_transport(now, transport, &own).unwrap_or_else(|error| panic!("{error}"));
        let mut dtls = DtlsTransport::new(backend);
        dtls.set_remote_fingerprints(&data.dtls_parameters.fingerprints)
            .unwrap_or_else(|error| panic!("{error}"));
        ScriptedClient {
            transport,
            srtp: None,
            received: Vec::new(),
            keeps_received: true,
            outgoing: VecDeque::new(),
            ice: data.ice_parameters,
            dtls,
            transactions: 0,
            next_request_at: now,
            answered: false,
        }
    }

    /// A binding request of this client.
    pub fn binding_request(&mut self) -> BindingRequest {
        self.transactions += 1;
        let mut transaction = [0x5a; 12];
        transaction[..8].copy_from_slice(&self.transactions.to_be_bytes());
        BindingRequest {
            username: format!("{}:scripted", self.ice.username_fragment),
            password: Some(self.ice.password.clone()),
            transaction,
            use_candidate: true,
        }
    }

    /// Encrypts an RTP packet.
    ///
    /// # Panics
    /// Without keys.
    pub fn protect_rtp(&self, packet: &[u8], extended_sequence: u64) -> Vec<u8> {
        let mut bytes = packet.to_vec();
        let header_len = rtp::header_len(packet).unwrap_or(12.min(packet.len()));
        let srtp = self.srtp.as_ref().unwrap_or_else(|| panic!("no keys"));
        srtp.sender
            .protect_rtp(&mut bytes, 0, header_len, extended_sequence)
            .unwrap_or_else(|error| panic!("{error}"));
        bytes
    }

    /// Encrypts an RTCP packet.
    ///
    /// # Panics
    /// Without keys.
    pub fn protect_rtcp(&mut self, packet: &[u8]) -> Vec<u8> {
        let mut bytes = packet.to_vec();
        let srtp = self.srtp.as_mut().unwrap_or_else(|| panic!("no keys"));
        srtp.sender.protect_rtcp(&mut bytes, 0).unwrap_or_else(|error| panic!("{error}"));
        bytes
    }

    /// Whether media can flow.
    pub fn is_connected(&self) -> bool {
        self.srtp.is_some()
    }

    fn drain_dtls(&mut self) {
        while let Some(output) = self.dtls.poll_output() {
            match output {
                DtlsOutput::Packet(packet) => self.outgoing.push_back(packet),
                DtlsOutput::Connected(keys) => {
                    let profile = SrtpProfile::from_protection_profile(keys.protection_profile);
                    self.srtp = profile.and_then(|profile| {
                        let is_client = keys.role == DtlsRole::Client;
                        SrtpContexts::from_keying_material(
                            &AwsLcRs,
                            profile,
                            &keys.keying_material,
                            is_client,
                            64,
                        )
                    });
                }
                DtlsOutput::ApplicationData(_) | DtlsOutput::Closed | DtlsOutput::Failed(_) => {}
            }
        }
    }

    fn unprotect(&mut self, bytes: &[u8]) {
        let Some(srtp) = &mut self.srtp else { return };
        let mut packet = bytes.to_vec();
        let is_rtcp = packet.get(1).is_some_and(|kind| (192..224).contains(kind));
        let length = if is_rtcp {
            srtp.receiver.unprotect_rtcp(&mut packet).ok()
        } else {
            let header = rtp::header_len(&packet).zip(rtp::stream_position(&packet));
            header.and_then(|(header_len, (ssrc, sequence_number))| {
                let opened = srtp.receiver.unprotect_rtp(&mut packet, header_len, ssrc, sequence_number);
                opened.ok().map(|(length, _)| length)
            })
        };
        if let Some(length) = length {
            packet.truncate(length);
            self.received.push(packet);
        }
    }
}

impl Endpoint for ScriptedClient {
    fn handle_datagram(&mut self, now: Instant, _from: SocketAddr, bytes: &[u8]) {
        match bytes.first() {
            Some(0..=3) if !self.answered => {
                self.answered = true;
                self.dtls.start(now, DtlsRole::Client);
                self.drain_dtls();
            }
            Some(20..=63) => {
                self.dtls.handle_datagram(now, bytes);
                self.drain_dtls();
            }
            Some(128..=191) if self.keeps_received => self.unprotect(bytes),
            _ => {}
        }
    }

    fn poll(&mut self, now: Instant, sent: &mut Vec<(SocketAddr, Vec<u8>)>) -> Option<Instant> {
        if self.next_request_at <= now {
            let wait = if self.answered { CONSENT_INTERVAL } else { Duration::from_millis(200) };
            self.next_request_at = now + wait;
            let request = self.binding_request().to_bytes();
            self.outgoing.push_back(request);
        }
        self.dtls.handle_timeout(now);
        self.drain_dtls();
        sent.extend(self.outgoing.drain(..).map(|bytes| (sfu_address(), bytes)));
        [Some(self.next_request_at), self.dtls.deadline()].into_iter().flatten().min()
    }
}

impl fmt::Debug for ScriptedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedClient").field("transport", &self.transport).finish_non_exhaustive()
    }
}
