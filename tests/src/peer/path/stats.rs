//! What a path has counted.

/// Counters of a path. All only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PathStats {
    /// Connectivity and consent checks sent, repetitions too.
    pub checks_sent: u64,
    /// Binding requests that the server has answered with success.
    pub answers: u64,
    /// Forged requests that it has answered with success: there must be none.
    pub forgeries_answered: u64,
    /// Errors 400 (Bad Request).
    pub stun_errors_400: u64,
    /// Errors 401 (Unauthenticated).
    pub stun_errors_401: u64,
    /// Errors 487 (Role Conflict).
    pub stun_errors_487: u64,
    /// Other errors.
    pub stun_errors_other: u64,
    /// STUN that is no answer, malformed, or with a wrong FINGERPRINT.
    pub stun_malformed: u64,
    /// Answers to what was not asked, or was answered already.
    pub stun_unknown_transaction: u64,
    /// Answers with a wrong MESSAGE-INTEGRITY, or without one where there has to be.
    pub stun_integrity_failures: u64,
    /// DTLS datagrams that came.
    pub dtls_received: u64,
    /// RTP packets that were decrypted.
    pub rtp_received: u64,
    /// RTCP packets that were decrypted.
    pub rtcp_received: u64,
    /// SRTP and SRTCP packets that were damaged, or not the server's.
    pub srtp_authentication_failures: u64,
    /// SRTP and SRTCP packets that had come before.
    pub srtp_replays: u64,
    /// SRTP and SRTCP packets that were too short for their headers.
    pub srtp_malformed: u64,
    /// SRTP and SRTCP packets that came before there were keys.
    pub received_before_keys: u64,
    /// Datagrams of no protocol that is spoken here.
    pub unknown_datagrams: u64,
    /// RTP packets sent, lies too.
    pub rtp_sent: u64,
    /// RTCP packets sent, lies too.
    pub rtcp_sent: u64,
    /// RTP and RTCP packets that were to be sent before there were keys, or after the end.
    pub unsent_without_keys: u64,
    /// RTP and RTCP packets that were to be sent but have no header.
    pub unsent_malformed: u64,
    /// Datagrams that silence has swallowed.
    pub silenced: u64,
    /// Hostile datagrams sent.
    pub hostile_sent: u64,
}

impl PathStats {
    pub(super) fn count_stun_error(&mut self, code: u16) {
        *match code {
            400 => &mut self.stun_errors_400,
            401 => &mut self.stun_errors_401,
            487 => &mut self.stun_errors_487,
            _ => &mut self.stun_errors_other,
        } += 1;
    }
}
