//! Puts a name to a handshake that failed.

use quinn::ConnectionError;

use crate::events::RefusedReason;

/// Why somebody was not let in.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) reason: RefusedReason,
    pub(crate) detail: String,
}

impl Refusal {
    pub(crate) fn new(reason: RefusedReason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }

    /// Reads the failure of a handshake that the other side began.
    pub(crate) fn of_accepted(error: &ConnectionError) -> Self {
        let reason = alert_of(error).map_or(RefusedReason::Handshake, reason_of_alert);
        Self::new(reason, error.to_string())
    }

    /// Reads the failure of a handshake that we began. None: the other side refused us, or is not there.
    pub(crate) fn of_dialled(error: &ConnectionError) -> Option<Self> {
        match error {
            ConnectionError::TransportError(_) => Some(Self::of_accepted(error)),
            ConnectionError::VersionMismatch
            | ConnectionError::ConnectionClosed(_)
            | ConnectionError::ApplicationClosed(_)
            | ConnectionError::Reset
            | ConnectionError::TimedOut
            | ConnectionError::LocallyClosed
            | ConnectionError::CidsExhausted => None,
        }
    }
}

/// The TLS alert in an error, sent by either side.
fn alert_of(error: &ConnectionError) -> Option<u8> {
    let code = match error {
        ConnectionError::TransportError(error) => u64::from(error.code),
        ConnectionError::ConnectionClosed(frame) => u64::from(frame.error_code),
        ConnectionError::VersionMismatch
        | ConnectionError::ApplicationClosed(_)
        | ConnectionError::Reset
        | ConnectionError::TimedOut
        | ConnectionError::LocallyClosed
        | ConnectionError::CidsExhausted => return None,
    };
    // RFC 9001 §4.8: an alert travels as CRYPTO_ERROR 0x0100 + alert.
    u8::try_from(code.checked_sub(0x100)?).ok()
}

/// Alerts of RFC 8446 §6.2.
fn reason_of_alert(alert: u8) -> RefusedReason {
    match alert {
        // bad_certificate … unknown_ca; decrypt_error: an authority of the same name and another key.
        42..=48 | 51 => RefusedReason::Certificate,
        116 => RefusedReason::NoCertificate,
        120 => RefusedReason::Protocol,
        _ => RefusedReason::Handshake,
    }
}
