//! The loudness of a router's producers.
use super::Router;
use crate::event::AudioLevel;
use crate::id::ProducerId;
use crate::observer::audio_level::AudioLevelMeter;
use crate::ortc::HeaderExtensionUri;
use crate::transport::StreamRef;
use crate::wire::ext;
use crate::wire::rtp::RtpView;

impl Router {
    /// Begins or ceases to collect levels.
    pub fn observe_audio_levels(&mut self, wanted: bool) {
        self.audio_levels = wanted.then(AudioLevelMeter::default);
    }

    /// The levels since the last time, the loudest first.
    pub fn take_audio_levels(&mut self) -> Vec<AudioLevel> {
        self.audio_levels.as_mut().map(AudioLevelMeter::take_report).unwrap_or_default()
    }

    /// Takes the level of a packet, if it has one that somebody wants to know.
    pub(super) fn observe_audio(&mut self, stream: StreamRef, packet: &RtpView<'_>) {
        let Some(meter) = &mut self.audio_levels else { return };
        let Some(producer) = self.producers.get(stream.producer).filter(|producer| !producer.paused) else {
            return;
        };
        let id = producer.rtp_parameters.header_extension_id(HeaderExtensionUri::AudioLevel);
        let value = id.filter(|_| !stream.is_rtx).and_then(|id| packet.extension(id));
        if let Some(level) = value.and_then(ext::AudioLevel::parse) {
            meter.on_packet(ProducerId { router: self.id, own: stream.producer }, level.minus_dbov);
        }
    }
}
