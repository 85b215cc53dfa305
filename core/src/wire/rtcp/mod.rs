//! RTCP: views of compound and reduced-size packets, and writers (RFC 3550 section 6, RFC 4585, RFC 5506).

mod feedback;
mod goodbye;
mod report;
mod source_description;
mod transport_feedback;
mod writer;
mod xr;

pub use feedback::{Fir, FirEntry, Nack, Pli, Remb, write_fir, write_nack, write_pli, write_remb};
pub use goodbye::{Bye, write_bye};
pub use report::{
    ReceiverReport, ReportBlock, SenderInfo, SenderReport, write_receiver_report, write_sender_report,
};
pub use source_description::{SdesChunk, SdesItem, SourceDescription, write_cname};
pub use transport_feedback::{
    PacketStatuses, TransportFeedback, TransportFeedbackHeader, write_transport_feedback,
};
pub use xr::{Dlrr, DlrrBlocks, ExtendedReport, XrBlock, write_dlrr, write_rrtr};

use super::reader::Reader;

/// Packet types (RFC 3550 section 12.1, RFC 4585 section 6.1, RFC 3611 section 2).
mod packet_type {
    pub const SENDER_REPORT: u8 = 200;
    pub const RECEIVER_REPORT: u8 = 201;
    pub const SOURCE_DESCRIPTION: u8 = 202;
    pub const GOODBYE: u8 = 203;
    pub const TRANSPORT_LAYER_FEEDBACK: u8 = 205;
    pub const PAYLOAD_SPECIFIC_FEEDBACK: u8 = 206;
    pub const EXTENDED_REPORT: u8 = 207;
}

/// Feedback message types (RFC 4585 section 6, RFC 5104 section 4.2).
mod feedback_type {
    pub const NACK: u8 = 1;
    pub const TRANSPORT_WIDE: u8 = 15;
    pub const PLI: u8 = 1;
    pub const FIR: u8 = 4;
    pub const APPLICATION: u8 = 15;
}

/// One packet out of a compound one.
#[derive(Clone, Copy, Debug)]
pub enum RtcpView<'a> {
    /// SR (RFC 3550 section 6.4.1).
    SenderReport(SenderReport<'a>),
    /// RR (RFC 3550 section 6.4.2).
    ReceiverReport(ReceiverReport<'a>),
    /// SDES (RFC 3550 section 6.5).
    SourceDescription(SourceDescription<'a>),
    /// BYE (RFC 3550 section 6.6).
    Bye(Bye<'a>),
    /// Generic NACK (RFC 4585 section 6.2.1).
    Nack(Nack<'a>),
    /// Transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01).
    TransportFeedback(TransportFeedback<'a>),
    /// Picture loss indication (RFC 4585 section 6.3.1).
    Pli(Pli),
    /// Full intra request (RFC 5104 section 4.3.1).
    Fir(Fir<'a>),
    /// Receiver estimated maximum bitrate (draft-alvestrand-rmcat-remb-03).
    Remb(Remb<'a>),
    /// XR (RFC 3611).
    ExtendedReport(ExtendedReport<'a>),
}

/// The packets of a compound or reduced-size RTCP datagram, in order. Unknown types and formats, and packets whose content is
/// malformed, are skipped by their length; a wrong version or length ends the walk.
pub fn packets(datagram: &[u8]) -> Packets<'_> {
    Packets { rest: Reader::new(datagram) }
}

/// Iterator of [`packets`].
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    rest: Reader<'a>,
}

impl<'a> Iterator for Packets<'a> {
    type Item = RtcpView<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let Some(frame) = Frame::read(&mut self.rest) else {
                self.rest = Reader::new(&[]);
                return None;
            };
            if let Some(view) = frame.view() {
                return Some(view);
            }
        }
        None
    }
}

impl std::iter::FusedIterator for Packets<'_> {}

/// A packet with only its common header read.
#[derive(Clone, Copy, Debug)]
struct Frame<'a> {
    /// The five bits that count blocks or name a feedback format.
    count: u8,
    packet_type: u8,
    /// What follows the header, padding taken off.
    body: &'a [u8],
}

impl<'a> Frame<'a> {
    fn read(rest: &mut Reader<'a>) -> Option<Self> {
        let [first, packet_type, l0, l1] = rest.array()?;
        if first >> 6 != 2 {
            return None;
        }
        let mut body = rest.take(usize::from(u16::from_be_bytes([l0, l1])) * 4)?;
        if first & 0x20 != 0 {
            let padding_len = usize::from(*body.last()?);
            if padding_len == 0 {
                return None;
            }
            body = body.get(..body.len().checked_sub(padding_len)?)?;
        }
        Some(Self { count: first & 0x1F, packet_type, body })
    }

    fn view(self) -> Option<RtcpView<'a>> {
        let Self { count, packet_type, body } = self;
        match packet_type {
            packet_type::SENDER_REPORT => SenderReport::parse(count, body).map(RtcpView::SenderReport),
            packet_type::RECEIVER_REPORT => ReceiverReport::parse(count, body).map(RtcpView::ReceiverReport),
            packet_type::SOURCE_DESCRIPTION => {
                Some(RtcpView::SourceDescription(SourceDescription::new(count, body)))
            }
            packet_type::GOODBYE => Bye::parse(count, body).map(RtcpView::Bye),
            packet_type::TRANSPORT_LAYER_FEEDBACK => match count {
                feedback_type::NACK => Nack::parse(body).map(RtcpView::Nack),
                feedback_type::TRANSPORT_WIDE => {
                    TransportFeedback::parse(body).map(RtcpView::TransportFeedback)
                }
                _ => None,
            },
            packet_type::PAYLOAD_SPECIFIC_FEEDBACK => match count {
                feedback_type::PLI => Pli::parse(body).map(RtcpView::Pli),
                feedback_type::FIR => Fir::parse(body).map(RtcpView::Fir),
                feedback_type::APPLICATION => Remb::parse(body).map(RtcpView::Remb),
                _ => None,
            },
            packet_type::EXTENDED_REPORT => ExtendedReport::parse(body).map(RtcpView::ExtendedReport),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
