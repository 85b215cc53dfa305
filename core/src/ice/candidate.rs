//! The candidates that the server offers: its own addresses, or those under which it is reached.

use std::net::SocketAddr;

use super::Protocol;
use crate::ortc::{IceCandidate, IceCandidateTcpType, IceCandidateType};

/// Preference of host candidates as mediasoup has it; RFC 8445 section 5.1.2.2 would have 126, but the formula's result only
/// has to be in order.
const TYPE_PREFERENCE: u32 = 64;

/// Preference of the first address; each further candidate gets [`LOCAL_PREFERENCE_STEP`] less.
const LOCAL_PREFERENCE: u32 = 10_000;

/// The least preferred address has still more than 0: after 100 candidates the order is lost, not the candidates.
const LOCAL_PREFERENCE_STEP: u32 = 100;

/// What the preferred protocol gets in addition.
const PREFERRED_PROTOCOL: u32 = 1_000;

/// What the preferred address family gets in addition: a choice of family counts more than one of protocol.
const PREFERRED_FAMILY: u32 = 2_000;

/// The only component: RTP and RTCP are multiplexed.
const COMPONENT: u32 = 1;

/// An address on which the server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CandidateSource {
    /// The bound address.
    pub local: SocketAddr,
    /// The IP address or host name under which clients reach it instead, for hosts behind a 1:1 NAT. The port is the same.
    pub announced: Option<String>,
    /// The protocol.
    pub protocol: Protocol,
}

/// What is preferred among otherwise equal addresses. Nothing, by default: then their order decides.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CandidatePreferences {
    /// UDP before TCP.
    pub udp: bool,
    /// TCP before UDP.
    pub tcp: bool,
    /// IPv4 before IPv6.
    pub ipv4: bool,
    /// IPv6 before IPv4.
    pub ipv6: bool,
}

/// The candidates of a transport that listens on `sources`, the most preferred first.
pub fn candidates(sources: &[CandidateSource], preferences: CandidatePreferences) -> Vec<IceCandidate> {
    let steps = (0..).step_by(LOCAL_PREFERENCE_STEP as usize);
    sources
        .iter()
        .zip(steps)
        .map(|(source, decrement)| {
            let is_v4 = source.local.ip().to_canonical().is_ipv4();
            let (prefers_protocol, foundation) = match source.protocol {
                Protocol::Udp => (preferences.udp, "udpcandidate"),
                Protocol::Tcp => (preferences.tcp, "tcpcandidate"),
            };
            let prefers_family = if is_v4 { preferences.ipv4 } else { preferences.ipv6 };
            let local_preference = LOCAL_PREFERENCE.saturating_sub(decrement)
                + if prefers_protocol { PREFERRED_PROTOCOL } else { 0 }
                + if prefers_family { PREFERRED_FAMILY } else { 0 };
            let address = source.announced.clone().unwrap_or_else(|| source.local.ip().to_string());
            IceCandidate {
                foundation: foundation.to_owned(),
                priority: priority(local_preference),
                ip: address.clone(),
                address,
                port: source.local.port(),
                protocol: source.protocol,
                r#type: IceCandidateType::Host,
                tcp_type: (source.protocol == Protocol::Tcp).then_some(IceCandidateTcpType::Passive),
            }
        })
        .collect()
}

/// RFC 8445 section 5.1.2.1.
fn priority(local_preference: u32) -> u32 {
    (TYPE_PREFERENCE << 24) + (local_preference << 8) + (256 - COMPONENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(address: &str, protocol: Protocol) -> CandidateSource {
        CandidateSource { local: address.parse().unwrap(), announced: None, protocol }
    }

    #[test]
    fn priorities_are_those_of_mediasoup() {
        // golden/v3/transport-options.json
        let sources = [source("127.0.0.1:49999", Protocol::Udp), source("127.0.0.1:49999", Protocol::Tcp)];
        let candidates = candidates(&sources, CandidatePreferences::default());
        assert_eq!(candidates[0].priority, 1_076_302_079);
        assert_eq!(candidates[1].priority, 1_076_276_479);
        assert_eq!(candidates[0].foundation, "udpcandidate");
        assert_eq!(candidates[1].foundation, "tcpcandidate");
        assert_eq!(
            (candidates[0].tcp_type, candidates[1].tcp_type),
            (None, Some(IceCandidateTcpType::Passive))
        );
        assert_eq!((candidates[0].address.as_str(), candidates[0].port), ("127.0.0.1", 49999));
    }

    #[test]
    fn announced_address_stands_in() {
        let mut behind_nat = source("10.0.0.5:40000", Protocol::Udp);
        behind_nat.announced = Some("media.example.org".to_owned());
        let candidates = candidates(&[behind_nat], CandidatePreferences::default());
        assert_eq!(
            (candidates[0].address.as_str(), candidates[0].ip.as_str()),
            ("media.example.org", "media.example.org")
        );
        assert_eq!(candidates[0].port, 40000);
    }

    #[test]
    fn preferences_change_the_order() {
        let sources = [
            source("192.0.2.1:1", Protocol::Udp),
            source("192.0.2.1:1", Protocol::Tcp),
            source("[2001:db8::1]:1", Protocol::Udp),
            source("[2001:db8::1]:1", Protocol::Tcp),
        ];
        let order = |preferences| {
            let mut candidates: Vec<_> = candidates(&sources, preferences).into_iter().enumerate().collect();
            candidates.sort_by_key(|(_, candidate)| std::cmp::Reverse(candidate.priority));
            candidates.into_iter().map(|(at, _)| at).collect::<Vec<_>>()
        };
        assert_eq!(order(CandidatePreferences::default()), [0, 1, 2, 3]);
        assert_eq!(order(CandidatePreferences { tcp: true, ..Default::default() }), [1, 3, 0, 2]);
        assert_eq!(order(CandidatePreferences { ipv6: true, ..Default::default() }), [2, 3, 0, 1]);
        let both = CandidatePreferences { ipv6: true, tcp: true, ..Default::default() };
        assert_eq!(order(both), [3, 2, 1, 0]);
    }

    #[test]
    fn many_addresses_do_not_underflow() {
        let sources = vec![source("192.0.2.1:1", Protocol::Udp); 300];
        let candidates = candidates(&sources, CandidatePreferences::default());
        assert_eq!(candidates.len(), 300);
        assert!(candidates.is_sorted_by_key(|candidate| std::cmp::Reverse(candidate.priority)));
    }
}
