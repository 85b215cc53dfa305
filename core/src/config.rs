//! What an embedder sets: addresses, certificate, and a limit for everything that can grow.
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::dtls::DtlsBackend;
use crate::srtp::cipher::{AwsLcRs, CryptoProvider};

/// An address on which the runtime has bound a UDP socket, and how clients are to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenAddress {
    /// The bound address; datagrams carry it as `local`.
    pub local: SocketAddr,
    /// The address to put into ICE candidates instead, for hosts behind a 1:1 NAT.
    pub announced: Option<IpAddr>,
}

/// Ports from which transports get one each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    min: u16,
    max: u16,
}

impl PortRange {
    /// The ports `min` to `max`, both included; `None` if there is none between them, or `min` is 0.
    pub fn new(min: u16, max: u16) -> Option<PortRange> {
        (0 < min && min <= max).then_some(PortRange { min, max })
    }

    /// The lowest.
    pub fn min(self) -> u16 {
        self.min
    }

    /// The highest.
    pub fn max(self) -> u16 {
        self.max
    }

    /// The port so many behind the lowest, if it is one of them.
    pub fn nth(self, index: usize) -> Option<u16> {
        let port = u16::try_from(index).ok().and_then(|index| self.min.checked_add(index));
        port.filter(|port| *port <= self.max)
    }
}

/// `40000 to 40999`.
impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.min, self.max)
    }
}

/// The certificate of the DTLS endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CertificateSource {
    /// Self-signed, made from the seed when the `Sfu` is created.
    #[default]
    Generated,
    /// PEM texts of an ECDSA certificate and its private key.
    Pem {
        /// The certificate.
        certificate: String,
        /// The private key, PKCS #8 or SEC 1.
        private_key: String,
    },
}

/// Settings of an `Sfu`. `Config::default()` has no address: set [`Config::listen`].
///
/// Invariant: memory grows only within these limits; reaching one is counted in the stats.
#[derive(Debug, Clone)]
pub struct Config {
    /// The addresses offered as ICE candidates, most preferred first.
    pub listen: Vec<ListenAddress>,
    /// Gives each transport a port of its own out of this range, at each IP address of [`Config::listen`], whose ports then do not
    /// count. The runtime is told by [`Output::Listen`](crate::sfu::Output::Listen) to bind it, and by
    /// [`Output::Unlisten`](crate::sfu::Output::Unlisten) to close it. `None`: all transports share the listen addresses.
    pub transport_ports: Option<PortRange>,
    /// The certificate for DTLS.
    pub certificate: CertificateSource,
    /// Another implementation of DTLS, with a certificate of its own (simulations, replay); by default `dimpl` on aws-lc-rs.
    pub dtls_backend: Option<Arc<dyn DtlsBackend>>,
    /// The ciphers of SRTP; by default those of aws-lc-rs.
    pub srtp_crypto: Arc<dyn CryptoProvider>,
    /// After how long without a valid STUN request a transport is closed. mediasoup's `iceConsentTimeout`; 30 s.
    pub ice_consent_timeout: Duration,
    /// The largest datagram that DTLS may make, in bytes. 1200.
    pub mtu: usize,
    /// Routers of the `Sfu`. 10,000.
    pub max_routers: usize,
    /// Transports of a router. 10,000.
    pub max_transports_per_router: usize,
    /// Producers of a transport. 64.
    pub max_producers_per_transport: usize,
    /// Consumers of a transport. 4,096.
    pub max_consumers_per_transport: usize,
    /// Remote addresses that one transport keeps as valid ICE tuples, at least 2. 8.
    pub max_tuples_per_transport: usize,
    /// SSRCs for which one transport keeps receive state (replay windows). 256.
    pub max_ssrcs_per_transport: usize,
    /// Outgoing packets queued for one transport within a drain; more are dropped and counted. 4,096.
    pub max_queued_packets_per_transport: usize,
    /// Rendered control datagrams (STUN, DTLS, RTCP) queued in all, in bytes; more are dropped and counted. 8 MiB.
    pub max_queued_control_bytes: usize,
    /// Events queued until they are polled; more are dropped and counted. 65,536.
    pub max_queued_events: usize,
    /// Packets kept for retransmission per video stream. 1,024, a power of two.
    pub retransmission_packets_video: usize,
    /// Bytes kept for retransmission per video stream. 1 MiB.
    pub retransmission_bytes_video: usize,
    /// Packets kept for retransmission per audio stream. 128, a power of two.
    pub retransmission_packets_audio: usize,
    /// Bytes kept for retransmission per audio stream. 32 KiB.
    pub retransmission_bytes_audio: usize,
    /// The shortest time between two keyframe requests for one stream. 1 s.
    pub key_frame_request_interval: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: Vec::new(),
            transport_ports: None,
            certificate: CertificateSource::Generated,
            dtls_backend: None,
            srtp_crypto: Arc::new(AwsLcRs),
            ice_consent_timeout: Duration::from_secs(30),
            mtu: 1200,
            max_routers: 10_000,
            max_transports_per_router: 10_000,
            max_producers_per_transport: 64,
            max_consumers_per_transport: 4_096,
            max_tuples_per_transport: 8,
            max_ssrcs_per_transport: 256,
            max_queued_packets_per_transport: 4_096,
            max_queued_control_bytes: 8 << 20,
            max_queued_events: 65_536,
            retransmission_packets_video: 1_024,
            retransmission_bytes_video: 1 << 20,
            retransmission_packets_audio: 128,
            retransmission_bytes_audio: 32 << 10,
            key_frame_request_interval: Duration::from_secs(1),
        }
    }
}
