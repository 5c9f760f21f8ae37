//! The certificate authority of a run, and the certificates it signs.

use std::path::{Path, PathBuf};

use peerbed_peer::config::IdentityFiles;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};

pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub certificate_pem: String,
}

/// A certificate and its key.
pub struct Leaf {
    pub certificate: Vec<u8>,
    pub certificate_pem: String,
    pub key: Vec<u8>,
    pub key_pem: String,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.distinguished_name.push(DnType::CommonName, "a run's authority");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate_pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), certificate_pem }
    }

    /// Signs a certificate with a URI name.
    pub fn sign(&self, uri: &str) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names.push(SanType::URI(uri.try_into().unwrap()));
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Leaf {
            certificate: certificate.der().to_vec(),
            certificate_pem: certificate.pem(),
            key: key.serialize_der(),
            key_pem: key.serialize_pem(),
        }
    }

    /// Writes the three files of a peer.
    pub fn write(&self, directory: &Path, uri: &str) -> IdentityFiles {
        let leaf = self.sign(uri);
        let file = |name: &str, text: &str| -> PathBuf {
            let path = directory.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        IdentityFiles {
            certificate: file("certificate.pem", &leaf.certificate_pem),
            key: file("key.pem", &leaf.key_pem),
            authority: file("authority.pem", &self.certificate_pem),
        }
    }
}
