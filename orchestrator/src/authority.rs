//! The certificate authority of one run.
//!
//! It lives in memory, as long as the run is being set up; its key is written nowhere. What a certificate proves is
//! checked by the peers (`peerbed_peer::identity`).

use std::time::{Duration, SystemTime};

use peerbed_proto::id::PeerId;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};

/// Signs the certificates of one run's peers.
pub struct Authority {
    run: String,
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes an authority for the run called `run`: letters, digits, dots, dashes and underscores.
    ///
    /// # Errors
    ///
    /// When the name does not fit into a certificate, or the system has no randomness.
    pub fn new(run: &str) -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = parameters(&format!("peerbed run {run}"))?;
        // The kind without a path length: peers are signed directly, and nobody below may sign.
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self { run: run.to_owned(), certificate, issuer: Issuer::new(params, key) })
    }

    /// Certificate of the authority itself, the only root that the run's peers trust (PEM).
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Makes a key and a certificate for a peer.
    ///
    /// # Errors
    ///
    /// When the name does not fit into a URI, or the system has no randomness.
    pub fn identity(&self, id: PeerId, name: &str) -> Result<Identity, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = parameters(name)?;
        let uri = format!("peerbed://{}/{}/{name}", self.run, id.0);
        params.subject_alt_names = vec![SanType::URI(uri.try_into()?)];
        // Every peer both dials and is dialled.
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Identity { certificate, key: key.serialize_pem() })
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("run", &self.run).finish_non_exhaustive()
    }
}

/// A peer's certificate and key, both PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// The private key (PKCS#8).
    pub key: String,
}

fn parameters(name: &str) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, name);
    let now = SystemTime::now();
    params.not_before = (now - BACK_DATED).into();
    params.not_after = (now + VALID).into();
    Ok(params)
}

/// A clock that is set back during a run must not make its certificates "not yet valid".
const BACK_DATED: Duration = Duration::from_secs(3_600);
/// Longer than any run may take: a scenario's times end at 1000 h.
const VALID: Duration = Duration::from_secs(60 * 24 * 3_600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificate_carries_run_number_and_name() {
        let authority = Authority::new("demo-1").unwrap();
        let identity = authority.identity(PeerId(7), "home-3").unwrap();
        assert!(identity.certificate.starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(identity.key.starts_with("-----BEGIN PRIVATE KEY-----"));
        let der = peerbed_der(&identity.certificate);
        let uri = b"peerbed://demo-1/7/home-3";
        assert!(der.windows(uri.len()).any(|window| window == uri));
    }

    #[test]
    fn a_name_that_is_no_uri_is_refused() {
        let authority = Authority::new("demo-1").unwrap();
        assert!(authority.identity(PeerId(7), "ünïcode").is_err());
    }

    fn peerbed_der(pem: &str) -> Vec<u8> {
        let text: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let digit = |c: u8| match c {
            b'A'..=b'Z' => u32::from(c - b'A'),
            b'a'..=b'z' => u32::from(c - b'a') + 26,
            b'0'..=b'9' => u32::from(c - b'0') + 52,
            b'+' => 62,
            _ => 63,
        };
        let groups = text.trim_end_matches('=').as_bytes().chunks(4);
        groups
            .flat_map(|group| {
                let bits = group.iter().fold(0, |bits, c| bits << 6 | digit(*c)) << (6 * (4 - group.len()));
                bits.to_be_bytes()[1..group.len()].to_vec()
            })
            .collect()
    }
}
