//! TLS of our own: a certificate chain and its key, read again when the files change.
//!
//! Connections keep what they began with; whoever comes next gets the new certificate. Files that do not fit together, as
//! in the moment between the replacement of the one and of the other, change nothing.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::config::TlsFiles;
use crate::secret::sha256;

/// How often we look whether the files have changed.
const PAUSE: Duration = Duration::from_secs(10);

/// What connections are taken in with.
pub struct Tls {
    files: TlsFiles,
    in_force: RwLock<InForce>,
}

struct InForce {
    config: Arc<ServerConfig>,
    /// The hash of the files that were judged last, good or not.
    judged: Vec<u8>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.fmt(f)
    }
}

impl Tls {
    /// # Errors
    /// Files that cannot be read, or that do not fit together.
    pub fn load(files: TlsFiles) -> anyhow::Result<Self> {
        let read = |path: &PathBuf| {
            let text = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
            anyhow::Ok(Zeroizing::new(text))
        };
        let (certificate, key) = (read(&files.certificate)?, read(&files.key)?);
        let config = config(&certificate, &key)?;
        let judged = hash(&certificate, &key);
        Ok(Self { in_force: RwLock::new(InForce { config: Arc::new(config), judged }), files })
    }

    pub fn acceptor(&self) -> TlsAcceptor {
        let in_force = self.in_force.read().unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&in_force.config))
    }

    /// Looks after the files for as long as it is polled.
    pub async fn keep_reading(&self) {
        loop {
            tokio::time::sleep(PAUSE).await;
            self.read_again().await;
        }
    }

    /// Takes over what the files hold, if it has changed and fits together; it is told once if it does not.
    pub async fn read_again(&self) {
        match self.renew().await {
            Ok(true) => tracing::info!("the certificate was read again"),
            Ok(false) => {}
            Err(error) => {
                tracing::error!(
                    cause = format!("{error:#}"),
                    "the new certificate is not usable; the former one stays in force"
                );
            }
        }
    }

    async fn renew(&self) -> anyhow::Result<bool> {
        let certificate = tokio::fs::read(&self.files.certificate).await;
        let key = tokio::fs::read(&self.files.key).await.map(Zeroizing::new);
        let judged = match (&certificate, &key) {
            (Ok(certificate), Ok(key)) => hash(certificate, key),
            // As good as a content of its own: told once.
            _ => Vec::new(),
        };
        {
            let mut in_force = self.in_force.write().unwrap_or_else(PoisonError::into_inner);
            if in_force.judged == judged {
                return Ok(false);
            }
            in_force.judged = judged;
        }
        let certificate = certificate.context("tls.certificate_file cannot be read")?;
        let config = config(&certificate, &key.context("tls.key_file cannot be read")?)?;
        self.in_force.write().unwrap_or_else(PoisonError::into_inner).config = Arc::new(config);
        Ok(true)
    }
}

fn hash(certificate: &[u8], key: &[u8]) -> Vec<u8> {
    [sha256(certificate), sha256(key)].concat()
}

/// TLS 1.2 and 1.3, HTTP/1.1.
fn config(certificate: &[u8], key: &[u8]) -> anyhow::Result<ServerConfig> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate)
        .collect::<Result<_, _>>()
        .context("tls.certificate_file is not in PEM form")?;
    anyhow::ensure!(!chain.is_empty(), "tls.certificate_file holds no certificate");
    let key = PrivateKeyDer::from_pem_slice(key).context("tls.key_file holds no private key in PEM form")?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("tls.certificate_file and tls.key_file do not fit together")?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
