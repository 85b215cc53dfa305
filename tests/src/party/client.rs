//! A client of one transport that sends and receives, and remembers what it was told.
use std::net::SocketAddr;
use std::time::Instant;

use sansfu::id::{RouterId, TransportId};
use sansfu::model::WebRtcTransportOptions;
use sansfu::ortc::{DtlsRole, HeaderExtensionUri, RtpParameters};
use sansfu::sfu::Sfu;

use crate::peer::media::congestion::TransportNumbers;
use crate::peer::media::feedback::FeedbackGenerator;
use crate::peer::media::{RtpReceiver, RtpSender, Violation};
use crate::peer::path::{Path, PathParameters, Received, Security};
use crate::peer::rtcp::{self, ReportBlock, Rtcp};
use crate::world::{Endpoint, sfu_address};

/// The client.
#[derive(Debug)]
pub struct MediaClient {
    /// Its transport.
    pub transport: TransportId,
    /// Its seed.
    pub seed: u64,
    /// What it sends.
    pub senders: Vec<RtpSender>,
    /// What it receives.
    pub receivers: Vec<RtpReceiver>,
    /// What must not be.
    pub violations: Vec<Violation>,
    /// What RTCP it was told, and when.
    pub heard: Vec<(Instant, Rtcp)>,
    /// What it claims to have lost, in 1/256, instead of the truth.
    pub claimed_loss: Option<u8>,
    /// Whether it keeps transport-wide feedback and reports to itself.
    pub is_mute: bool,
    path: Path,
    numbers: TransportNumbers,
    feedback: Option<FeedbackGenerator>,
}

impl MediaClient {
    /// Makes a transport and its client.
    pub(super) fn new(sfu: &mut Sfu, now: Instant, router: RouterId, seed: u64) -> Self {
        let transport =
            sfu.create_webrtc_transport(now, router, WebRtcTransportOptions::default()).expect("a transport");
        let data = sfu.webrtc_transport(transport).expect("it was just made");
        let path = Path::new(
            now,
            PathParameters {
                server: sfu_address(),
                ice: data.ice_parameters,
                fingerprints: data.dtls_parameters.fingerprints,
                security: Security::None { role: DtlsRole::Client },
                seed,
            },
        );
        sfu.connect_webrtc_transport(now, transport, &path.local_dtls_parameters()).expect("parameters");
        MediaClient {
            transport,
            seed,
            senders: Vec::new(),
            receivers: Vec::new(),
            violations: Vec::new(),
            heard: Vec::new(),
            claimed_loss: None,
            is_mute: false,
            path,
            numbers: TransportNumbers::default(),
            feedback: None,
        }
    }

    /// Whether media can flow.
    pub fn is_connected(&self) -> bool {
        self.path.is_connected()
    }

    /// Sends an RTCP compound as it is, with the next poll.
    pub fn say(&mut self, compound: &[u8]) {
        self.path.send_rtcp(compound);
    }

    /// The REMB messages that it heard.
    pub fn rembs(&self) -> impl DoubleEndedIterator<Item = (Instant, u64)> {
        self.heard.iter().filter_map(|(at, rtcp)| match rtcp {
            Rtcp::Remb { bitrate_bps, .. } => Some((*at, *bitrate_bps)),
            _ => None,
        })
    }

    /// The report blocks about a stream that it heard.
    pub fn reports(&self, ssrc: u32) -> impl DoubleEndedIterator<Item = ReportBlock> {
        let blocks = self.heard.iter().filter_map(|(_, rtcp)| match rtcp {
            Rtcp::ReceiverReport(_, blocks) => Some(blocks),
            _ => None,
        });
        blocks.flatten().copied().filter(move |block| block.ssrc == ssrc)
    }

    pub(super) fn send(&mut self, mut sender: RtpSender) {
        sender.share_transport(&self.numbers);
        self.senders.push(sender);
    }

    pub(super) fn receive(&mut self, parameters: &RtpParameters, receiver: RtpReceiver) {
        if let Some(id) = parameters.header_extension_id(HeaderExtensionUri::TransportCc) {
            let ssrc = self.seed as u32 | 1;
            self.feedback.get_or_insert_with(|| FeedbackGenerator::new(id, ssrc));
        }
        self.receivers.push(receiver);
    }

    fn on_rtp(&mut self, now: Instant, packet: &[u8]) {
        if let Some(feedback) = &mut self.feedback {
            feedback.on_rtp(now, packet);
        }
        let ssrc = packet.get(8..12).map(|ssrc| u32::from_be_bytes(ssrc.try_into().expect("four bytes")));
        let is_its = |receiver: &&mut RtpReceiver| {
            ssrc.is_some_and(|ssrc| receiver.ssrc() == ssrc || receiver.rtx_ssrc() == Some(ssrc))
        };
        if let Some(receiver) = self.receivers.iter_mut().find(is_its) {
            self.violations.extend(receiver.handle_rtp(now, packet).err());
        }
    }

    fn on_rtcp(&mut self, now: Instant, compound: &[u8]) {
        self.senders.iter_mut().for_each(|sender| sender.handle_rtcp(now, compound));
        self.receivers.iter_mut().for_each(|receiver| receiver.handle_rtcp(now, compound));
        self.heard.extend(rtcp::parse(compound).expect("RTCP").into_iter().map(|rtcp| (now, rtcp)));
    }

    /// What is due of media, as datagrams in the clear.
    fn media(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let (mut sent, mut told) = (Vec::new(), Vec::new());
        for sender in &mut self.senders {
            sender.poll(now, &mut sent);
        }
        for receiver in &mut self.receivers {
            self.violations.extend(receiver.poll(now, &mut told).err());
        }
        if let Some(feedback) = &mut self.feedback {
            feedback.poll(now, &mut told);
        }
        if self.is_mute {
            told.clear();
        }
        if let Some(claimed) = self.claimed_loss {
            told.iter_mut().for_each(|compound| *compound = lied(compound, claimed));
        }
        sent.extend(told);
        sent
    }

    fn media_deadline(&self) -> Option<Instant> {
        let senders = self.senders.iter().filter_map(RtpSender::deadline);
        let receivers = self.receivers.iter().map(RtpReceiver::deadline);
        let feedback = self.feedback.as_ref().and_then(FeedbackGenerator::deadline);
        senders.chain(receivers).chain(feedback).min()
    }
}

impl Endpoint for MediaClient {
    fn handle_datagram(&mut self, now: Instant, _from: SocketAddr, bytes: &[u8]) {
        self.path.handle_datagram(now, bytes);
        while let Some(received) = self.path.poll_received() {
            match received {
                Received::Rtp(packet) => self.on_rtp(now, &packet),
                Received::Rtcp(compound) => self.on_rtcp(now, &compound),
            }
        }
    }

    fn poll(&mut self, now: Instant, sent: &mut Vec<(SocketAddr, Vec<u8>)>) -> Option<Instant> {
        self.path.handle_timeout(now);
        let mut deadline = self.path.deadline();
        if self.path.is_connected() {
            for packet in self.media(now) {
                if rtcp::is_rtcp(&packet) {
                    self.path.send_rtcp(&packet);
                } else {
                    self.path.send_rtp(&packet);
                }
            }
            deadline = deadline.into_iter().chain(self.media_deadline()).min();
        }
        while let Some(bytes) = self.path.poll_transmit() {
            sent.push((self.path.server(), bytes));
        }
        deadline
    }
}

/// A compound with another fraction lost in its report blocks.
fn lied(compound: &[u8], claimed: u8) -> Vec<u8> {
    let mut packets = rtcp::parse(compound).expect("its own");
    for packet in &mut packets {
        if let Rtcp::ReceiverReport(_, blocks) = packet {
            blocks.iter_mut().for_each(|block| block.fraction_lost = claimed);
        }
    }
    rtcp::write(&packets)
}
