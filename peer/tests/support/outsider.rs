//! Somebody who speaks QUIC with any certificate, protocol and bytes.

use std::sync::Arc;

use peerbed_peer::commands::Endpoint;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError};
use rustls::DigitallySignedStruct;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio::time::timeout;

use super::DEADLINE;
use super::authority::Leaf;

pub const SWARM: &[u8] = b"peerbed-swarm/1";
pub const FETCH: &[u8] = b"peerbed-fetch/1";
pub const TRACKER: &[u8] = b"peerbed-tracker/1";

pub struct Outsider {
    pub endpoint: quinn::Endpoint,
    config: ClientConfig,
}

impl Outsider {
    /// Presents `leaf`, or no certificate, and offers one protocol. Believes whatever the other side presents.
    pub fn new(leaf: Option<&Leaf>, protocol: &[u8]) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Gullible(provider)));
        let mut tls = match leaf {
            Some(leaf) => {
                let key = PrivateKeyDer::try_from(leaf.key.clone()).unwrap();
                builder.with_client_auth_cert(vec![CertificateDer::from(leaf.certificate.clone())], key).unwrap()
            }
            None => builder.with_no_client_auth(),
        };
        tls.alpn_protocols = vec![protocol.to_vec()];
        let config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
        Self { endpoint: quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap(), config }
    }

    /// Dials; the other side may still refuse afterwards, because a client of TLS 1.3 is done first.
    pub async fn dial(&self, peer: Endpoint) -> Result<Connection, ConnectionError> {
        let connecting = self.endpoint.connect_with(self.config.clone(), peer.addr, "anybody.invalid").unwrap();
        timeout(DEADLINE, connecting).await.unwrap()
    }

    /// Dials and expects to be turned away, during the handshake or right after.
    pub async fn is_refused_by(&self, peer: Endpoint) -> ConnectionError {
        match self.dial(peer).await {
            Ok(connection) => timeout(DEADLINE, connection.closed()).await.unwrap(),
            Err(error) => error,
        }
    }
}

#[derive(Debug)]
struct Gullible(Arc<rustls::crypto::CryptoProvider>);

impl ServerCertVerifier for Gullible {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
