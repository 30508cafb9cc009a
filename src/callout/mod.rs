//! Calls that we make to addresses which applications registered: keys, sector documents, logout tokens.
//!
//! Whoever registers an address would like us to call it from inside of our network. So a name is looked up once, every
//! address that it has must be allowed (`reach.rs`), and the connection goes to one of these very addresses, whatever the
//! name says a moment later. Redirects are not followed, time and size are bounded, and nothing is sent but the request.

mod connect;
mod exchange;
mod places;
mod reach;
mod target;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use hyper::{HeaderMap, Method};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};

use self::places::Places;
pub use self::reach::Reach;
use self::target::Target;
use crate::ids::ProjectId;
use bytes::Bytes;

/// What calls may do and take.
#[derive(Clone, Debug)]
pub struct CalloutSettings {
    /// How close to us a called address may be.
    pub reach: Reach,
    /// Certificates in PEM form that are trusted besides the public ones.
    pub extra_roots: Option<Vec<u8>>,
    /// The longest that a call may take in all, the look-up of the name included.
    pub time: Duration,
    /// The most that an answer's body may hold.
    pub bytes: usize,
}

impl Default for CalloutSettings {
    fn default() -> Self {
        Self { reach: Reach::Public, extra_roots: None, time: Duration::from_secs(5), bytes: 64 * 1024 }
    }
}

/// What came back, whatever its status.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why there is no answer: a fixed sentence without an address in it, so that nobody learns from it what lies in our network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// We do not call such an address.
    Refused(&'static str),
    /// It could not be reached, or did not answer as it should.
    Failed(&'static str),
}

impl Fault {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Refused(why) | Self::Failed(why) => why,
        }
    }
}

/// What is posted.
pub struct Post {
    content_type: &'static str,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Post {
    /// `application/x-www-form-urlencoded`
    pub fn form(body: String) -> Self {
        Self { content_type: "application/x-www-form-urlencoded", headers: Vec::new(), body }
    }

    pub fn json(body: String, headers: Vec<(&'static str, String)>) -> Self {
        Self { content_type: "application/json", headers, body }
    }
}

/// The one way out.
pub struct Callouts {
    settings: CalloutSettings,
    tls: Arc<ClientConfig>,
    gets: Places,
    posts: Places,
}

impl Callouts {
    /// # Errors
    /// Certificates that do not parse.
    pub fn new(settings: CalloutSettings) -> anyhow::Result<Self> {
        let roots = roots(settings.extra_roots.as_deref())?;
        let mut tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { settings, tls: Arc::new(tls), gets: Places::default(), posts: Places::default() })
    }

    /// Fetches a document for a project.
    ///
    /// # Errors
    /// Without an answer; one with any status is an [`Answer`], redirects among them.
    pub async fn get(&self, project: ProjectId, url: &str) -> Result<Answer, Fault> {
        self.call(project, Method::GET, url, None, Some(self.settings.bytes)).await
    }

    /// Posts a body. The status is the answer: a body is not read, however long or slow
    /// it is.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn post(&self, project: ProjectId, url: &str, post: Post) -> Result<u16, Fault> {
        self.call(project, Method::POST, url, Some(post), None).await.map(|answer| answer.status)
    }

    /// The longest that a call takes.
    pub const fn time(&self) -> Duration {
        self.settings.time
    }

    async fn call(
        &self,
        project: ProjectId,
        method: Method,
        url: &str,
        post: Option<Post>,
        most: Option<usize>,
    ) -> Result<Answer, Fault> {
        let target = Target::parse(url)?;
        let places = if post.is_some() { &self.posts } else { &self.gets };
        let request = exchange::request(method, &target, post)?;
        let called = async {
            let place = places.take(project).await.ok_or(Fault::Failed("no call can be made"))?;
            let stream = connect::connect(&target, &place, self.settings.reach, &self.tls).await?;
            exchange::exchange(stream, request, most).await
        };
        tokio::time::timeout(self.settings.time, called)
            .await
            .unwrap_or(Err(Fault::Failed("the address did not answer in time")))
    }
}

/// The public authorities, and those of a file.
///
/// # Errors
/// A file without a certificate, or with something that is none.
fn roots(extra: Option<&[u8]>) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let public = roots.len();
    let Some(pem) = extra else { return Ok(roots) };
    for certificate in CertificateDer::pem_slice_iter(pem) {
        roots.add(certificate.context("not a certificate in PEM form")?)?;
    }
    anyhow::ensure!(roots.len() > public, "no certificate in PEM form");
    Ok(roots)
}

/// Whether a file holds certificates in PEM form, and nothing that does not parse.
pub fn are_authorities(pem: &[u8]) -> bool {
    roots(Some(pem)).is_ok()
}
