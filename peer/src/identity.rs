//! Who a peer is: certificates of the run's authority, TLS set-up for both sides, and reading a name from a certificate.
//!
//! Every certificate carries the URI `peerbed://<run>/<id>/<name>`. TLS proves that the run's authority signed it; run
//! and id are then compared here. What is done about a stranger (refuse, count) lives in `transport`.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use rustls::RootCertStore;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use x509_parser::extensions::GeneralName;

use crate::config::{IdentityFiles, PeerConfig};
use crate::evidence::KeyLog;

/// The name in a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Name of the run.
    pub run: String,
    /// Number of the peer in the plan.
    pub id: u32,
    /// Name of the peer in the plan.
    pub name: String,
}

impl Identity {
    /// Reads the name from a certificate. The certificate's signature is not checked here.
    ///
    /// # Errors
    ///
    /// [`NameError`] when the certificate cannot be parsed or has no such name.
    pub fn of_certificate(certificate: &CertificateDer<'_>) -> Result<Self, NameError> {
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate).map_err(|_| NameError::Unreadable)?;
        let names = parsed.subject_alternative_name().map_err(|_| NameError::Unreadable)?.ok_or(NameError::Missing)?;
        let uri = names.value.general_names.iter().find_map(|name| {
            let GeneralName::URI(uri) = name else { return None };
            uri.strip_prefix(SCHEME)
        });
        Self::parse(uri.ok_or(NameError::Missing)?)
    }

    fn parse(rest: &str) -> Result<Self, NameError> {
        let mut parts = rest.splitn(3, '/');
        let (Some(run), Some(id), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NameError::Malformed(rest.to_owned()));
        };
        let id = id.parse().map_err(|_| NameError::Malformed(rest.to_owned()))?;
        Ok(Self { run: run.to_owned(), id, name: name.to_owned() })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{SCHEME}{}/{}/{}", self.run, self.id, self.name)
    }
}

/// Why a certificate names no peer.
#[derive(Debug, thiserror::Error)]
pub enum NameError {
    /// Not a certificate.
    #[error("the certificate cannot be read")]
    Unreadable,
    /// No URI of ours among its names.
    #[error("the certificate carries no {SCHEME} name")]
    Missing,
    /// The URI is not run/id/name.
    #[error("the certificate's name {0:?} is not <run>/<id>/<name>")]
    Malformed(String),
}

/// What a peer proves itself with, and whom it trusts.
#[derive(Debug)]
pub(crate) struct Credentials {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
    key_log: Option<Arc<KeyLog>>,
}

impl Credentials {
    /// Reads the three files and checks that the certificate is the configured peer's.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or parsed, or names another peer; the message names the file.
    pub(crate) fn read(config: &PeerConfig) -> anyhow::Result<Self> {
        let IdentityFiles { certificate, key, authority } = &config.identity;
        let leaf = read_certificate(certificate)?;
        let mut roots = RootCertStore::empty();
        roots
            .add(read_certificate(authority)?)
            .with_context(|| format!("{} is no authority's certificate", authority.display()))?;
        let found =
            Identity::of_certificate(&leaf).with_context(|| format!("{} is unusable", certificate.display()))?;
        let wanted = Identity { run: config.run.clone(), id: config.id, name: config.name.clone() };
        if found != wanted {
            bail!("{} belongs to {found}, not to {wanted}", certificate.display());
        }
        Ok(Self {
            chain: vec![leaf],
            key: read_key(key)?,
            roots: Arc::new(roots),
            // Named explicitly: with a second provider somewhere in the tree the process-wide default would panic.
            provider: Arc::new(rustls::crypto::ring::default_provider()),
            key_log: config.quic.key_log.as_deref().map(KeyLog::open).transpose()?.map(Arc::new),
        })
    }

    /// TLS settings for connections from others: TLS 1.3 only, certificate required, no resumption.
    ///
    /// # Errors
    ///
    /// When key and certificate do not match.
    pub(crate) fn server(&self, protocols: &[&[u8]]) -> anyhow::Result<rustls::ServerConfig> {
        let verifier =
            WebPkiClientVerifier::builder_with_provider(self.roots.clone(), self.provider.clone()).build()?;
        let mut config = rustls::ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(verifier)
            .with_single_cert(self.chain.clone(), self.key.clone_key())
            .context("key and certificate do not fit each other")?;
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        if let Some(log) = &self.key_log {
            config.key_log = log.clone();
        }
        Ok(config)
    }

    /// TLS settings for dialling with one protocol.
    ///
    /// # Errors
    ///
    /// When key and certificate do not match.
    pub(crate) fn client(&self, protocol: &[u8]) -> anyhow::Result<rustls::ClientConfig> {
        let verifier =
            RunAuthority { roots: self.roots.clone(), algorithms: self.provider.signature_verification_algorithms };
        let mut config = rustls::ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_auth_cert(self.chain.clone(), self.key.clone_key())
            .context("key and certificate do not fit each other")?;
        config.alpn_protocols = vec![protocol.to_vec()];
        config.resumption = Resumption::disabled();
        config.enable_sni = false;
        if let Some(log) = &self.key_log {
            config.key_log = log.clone();
        }
        Ok(config)
    }
}

/// Verifies a dialled peer's certificate against the run's authority and nothing else.
///
/// There are no DNS names in a run. The name that counts, the URI, is compared after the handshake by the same code
/// for both directions.
#[derive(Debug)]
struct RunAuthority {
    roots: Arc<RootCertStore>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for RunAuthority {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(&certificate, &self.roots, intermediates, now, self.algorithms.all)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Scheme of the URI in every certificate.
const SCHEME: &str = "peerbed://";

/// How a PEM file begins; anything else is taken for DER.
const PEM_START: &[u8] = b"-----BEGIN";

fn read_certificate(path: &Path) -> anyhow::Result<CertificateDer<'static>> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read certificate {}", path.display()))?;
    if !bytes.starts_with(PEM_START) {
        return Ok(CertificateDer::from(bytes));
    }
    CertificateDer::from_pem_slice(&bytes).with_context(|| format!("{} holds no certificate", path.display()))
}

fn read_key(path: &Path) -> anyhow::Result<PrivateKeyDer<'static>> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read private key {}", path.display()))?;
    if bytes.starts_with(PEM_START) {
        return PrivateKeyDer::from_pem_slice(&bytes).with_context(|| format!("{} holds no key", path.display()));
    }
    PrivateKeyDer::try_from(bytes)
        .map_err(|reason| anyhow::anyhow!("{} holds no private key: {reason}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_is_run_id_and_name() {
        let identity = Identity::parse("demo/7/home-3").unwrap();
        assert_eq!(identity, Identity { run: "demo".into(), id: 7, name: "home-3".into() });
        assert_eq!(identity.to_string(), "peerbed://demo/7/home-3");
    }

    #[test]
    fn identity_without_a_number_is_malformed() {
        assert!(matches!(Identity::parse("demo/seven/home-3"), Err(NameError::Malformed(_))));
        assert!(matches!(Identity::parse("demo/7"), Err(NameError::Malformed(_))));
    }

    #[test]
    fn garbage_is_no_certificate() {
        let garbage = CertificateDer::from(vec![0x30, 0x82, 0xff]);
        assert!(matches!(Identity::of_certificate(&garbage), Err(NameError::Unreadable)));
    }
}
