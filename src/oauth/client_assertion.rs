//! `private_key_jwt`: a client proves itself by a JWT that it signs (RFC 7523, 3; OpenID Connect Core, 9).

use std::sync::atomic::{AtomicBool, Ordering};

use serde::Deserialize;

use crate::app::Ctx;
use crate::error::{Result, invalid_client};
use crate::keys::client_keys::ClientKeys;
use crate::keys::verify::Unproven;
use crate::model::client::Client;
use crate::model::signing_key::Alg;
use crate::model::timestamp::Timestamp;
use crate::secret::{Secret, sha256};
use crate::store::used_jtis;

/// The value of `client_assertion_type` (RFC 7523, 2.2).
pub const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// An assertion lives for at most this many seconds more: so long is its `jti` remembered.
const MOST_SECONDS: i64 = 600;

/// Clocks of two machines may differ by this many seconds for `iat` and `nbf`.
const LEEWAY_SECONDS: i64 = 30;

/// An assertion as it came.
#[derive(Debug)]
pub struct Assertion {
    text: Secret,
    /// Whom it is about, and which key is said to have made it; unproven.
    pub subject: String,
    pub kid: Option<String>,
    pub alg: Option<Alg>,
    /// A request that is judged again from the start uses it once.
    spent: AtomicBool,
}

#[derive(Deserialize)]
struct Subject {
    sub: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: i64,
    iat: Option<i64>,
    nbf: Option<i64>,
    jti: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    fn names(&self, wanted: &str) -> bool {
        match self {
            Self::One(one) => one == wanted,
            Self::Many(many) => many.iter().any(|one| one == wanted),
        }
    }
}

/// The id of an assertion that is good, and until when it is remembered.
pub struct Id {
    hash: Vec<u8>,
    expires_at: Timestamp,
}

impl Assertion {
    /// `None` when it is no JWT with a subject.
    pub fn read(text: Secret) -> Option<Self> {
        let unproven = Unproven::parse(text.expose()).ok()?;
        let (subject, alg, kid): (Subject, _, _) =
            (unproven.claims().ok()?, unproven.alg().ok(), unproven.header.kid.clone());
        Some(Self { text, subject: subject.sub, kid, alg, spent: AtomicBool::new(false) })
    }

    /// Whether the client made it, for us and for now. `None`: it proves nothing.
    pub fn proven_by(&self, ctx: &Ctx, client: &Client, keys: &ClientKeys) -> Option<Id> {
        let unproven = Unproven::parse(self.text.expose()).ok()?;
        let (header, alg) = (&unproven.header, unproven.alg().ok()?);
        let registered = client.settings.token_endpoint_auth_signing_alg;
        // A key that comes along proves nothing (RFC 8725, 3.10).
        if header.names_a_key() || registered.is_some_and(|registered| registered != alg) {
            return None;
        }
        if !keys.candidates(header.kid.as_deref(), alg).any(|key| unproven.is_by(key)) {
            return None;
        }
        let claims: Claims = unproven.claims().ok()?;
        let client = client.id.to_string();
        // What others date goes by everybody's clock.
        let now = ctx.wall.unix();
        let begun = |at: Option<i64>| at.is_none_or(|at| at <= now + LEEWAY_SECONDS);
        let good = claims.iss == client
            && claims.sub == client
            && is_for_us(&claims.aud, &ctx.project.issuer)
            && (now < claims.exp && claims.exp <= now + MOST_SECONDS)
            && (begun(claims.iat) && begun(claims.nbf))
            && (1..=256).contains(&claims.jti.len());
        let hash = sha256(format!("{client} {}", claims.jti).as_bytes());
        good.then(|| Id { hash, expires_at: Timestamp::from_unix(claims.exp) })
    }

    /// Uses it up: of many requests with it one succeeds, on whatever node.
    ///
    /// # Errors
    /// `invalid_client` when it was used before.
    pub async fn spend(&self, ctx: &Ctx, id: &Id) -> Result<()> {
        if self.spent.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let (project, kind) = (ctx.project.id, used_jtis::Kind::ClientAssertion);
        let first = ctx
            .app
            .db
            .write(
                |conn| async move { used_jtis::insert(&conn, project, kind, &id.hash, id.expires_at).await },
            )
            .await?;
        if first == 0 { Err(invalid_client("the client assertion was used before")) } else { Ok(()) }
    }
}

/// RFC 7523, 3 and RFC 9126, 2: the issuer, or the endpoint that the client has in mind. All of them are ours alone.
fn is_for_us(audience: &Audience, issuer: &str) -> bool {
    let ways = ["", "/oauth2/token", "/oauth2/par"];
    ways.iter().any(|way| audience.names(&format!("{issuer}{way}")))
}
