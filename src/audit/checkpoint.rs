//! Signed checkpoints: what the project's ES256 key says of its chain; of the instance's, that of the project `admin`. Whoever keeps one outside of the store can prove
//! later that nothing before it was changed, and nothing cut off the end.
//!
//! A checkpoint is a compact JWS. Its header has the public key, and `kid` is that key's thumbprint (RFC 7638), so it can
//! be checked when the key is long retired; whose key it was, the chain itself says (`signing_key.created`), and the JWK
//! Set of that day.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::app::App;
use crate::error::{Error, Result};
use crate::ids::ProjectId;
use crate::keys::jwks::thumbprint;
use crate::keys::provide::place;
use crate::keys::signing::{Alg, Signer, Verifier};
use crate::keys::verify::Unproven;
use crate::model::signing_key::SigningKey;
use crate::model::timestamp::Timestamp;
use crate::secret::{decode_base64url, encode_base64url};
use crate::store::audit_checkpoints::{self, CheckpointRow, Signatory};
use crate::store::db::Conn;
use crate::store::signing_keys;

/// No token of ours has this type, so that neither is taken for the other (RFC 8725, 3.11).
const TYPE: &str = "tessera-audit-checkpoint+jwt";
const CUT_TYPE: &str = "tessera-audit-cut+jwt";

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Claims {
    iss: String,
    project: ProjectId,
    seq: i64,
    /// base64url
    hash: String,
    at: Timestamp,
}

/// A checkpoint whose signature fits the key that it brings along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub project: ProjectId,
    pub seq: i64,
    pub hash: Vec<u8>,
    pub at: Timestamp,
    /// The thumbprint of the key.
    pub kid: String,
}

#[derive(Deserialize)]
struct Header {
    kid: String,
    jwk: Value,
}

impl Checkpoint {
    /// `None` for what is no checkpoint, or does not bear the signature of the key that it names.
    pub fn read(jws: &str) -> Option<Self> {
        let (kid, claims) = proven(jws, TYPE)?;
        let Claims { project, seq, hash, at, .. } = claims;
        Some(Self { project, seq, hash: decode_base64url(&hash)?, at, kid })
    }
}

/// What the project's key says of a cut: what lay before, up to and with an entry of this hash, was let go of by the rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SignedCut {
    pub project: ProjectId,
    pub through: i64,
    pub hash: Vec<u8>,
    pub kid: String,
}

impl SignedCut {
    /// As it stands in the entry of a cut, if the entry says the same.
    pub fn of_detail(detail: &str) -> Option<Self> {
        let detail: Value = serde_json::from_str(detail).ok()?;
        let (kid, Claims { project, seq, hash, .. }) = proven(detail["proof"].as_str()?, CUT_TYPE)?;
        let cut = Self { project, through: seq, hash: decode_base64url(&hash)?, kid };
        (detail["through"] == seq).then_some(cut)
    }
}

/// The claims of a statement of this type, and the thumbprint of the key that it brings along and that signed it.
fn proven(jws: &str, typ: &str) -> Option<(String, Claims)> {
    let unproven = Unproven::parse(jws).ok()?;
    let header = decode_base64url(jws.split('.').next()?)?;
    let Header { kid, jwk } = serde_json::from_slice(&header).ok()?;
    let is_ours = unproven.header.typ.as_deref() == Some(typ) && unproven.alg() == Ok(Alg::ES256);
    if !is_ours || thumbprint(Alg::ES256, &jwk)? != kid {
        return None;
    }
    if !unproven.is_by(&Verifier::new(Alg::ES256, &jwk.to_string()).ok()?) {
        return None;
    }
    Some((kid, unproven.claims().ok()?))
}

/// Who signs, with the keys for it.
struct Hand {
    by: Signatory,
    keys: Vec<SigningKey>,
}

impl Hand {
    async fn find(conn: &Conn, project: ProjectId) -> Result<Option<Self>> {
        let Some(by) = audit_checkpoints::signatory(conn, project).await? else { return Ok(None) };
        let keys = signing_keys::list(conn, by.project).await?;
        Ok(Some(Self { by, keys }))
    }

    /// Signed by the current key, and that key's `kid`; `None`: there is none any more.
    fn sign(&self, app: &App, typ: &str, claims: &Claims) -> Result<Option<(String, String)>> {
        let current = self.keys.iter().find(|key| key.alg == Alg::ES256 && key.is_current());
        let Some(key) = current else { return Ok(None) };
        let private = app.master_keys.open(&place(self.by.project, &key.kid), &key.sealed_private)?;
        let signer = Signer::new(Alg::ES256, &key.kid, &private)?;
        let jwk = serde_json::from_str(&key.public_jwk).map_err(Error::internal)?;
        Ok(Some((signer.sign_with_key(typ, &jwk, claims)?, key.kid.clone())))
    }
}

/// What the entry of a cut says, if the checkpoint that it is made at is the project's own.
pub(super) async fn sign_cut(
    app: &App,
    project: ProjectId,
    through: i64,
    now: Timestamp,
) -> Result<Option<Value>> {
    let read = app.db.read(|conn| async move {
        let row = audit_checkpoints::find(&conn, project, through).await?;
        Ok((row, Hand::find(&conn, project).await?))
    });
    let (Some(row), Some(hand)) = read.await? else { return Ok(None) };
    let Some(checkpoint) = Checkpoint::read(&row.jws) else { return Ok(None) };
    if (checkpoint.project, checkpoint.seq) != (project, through) {
        return Ok(None);
    }
    let hash = encode_base64url(&checkpoint.hash);
    let claims = Claims { iss: hand.by.issuer.clone(), project, seq: through, hash, at: now };
    let signed = hand.sign(app, CUT_TYPE, &claims)?;
    Ok(signed.map(|(proof, _)| json!({"through": through, "proof": proof})))
}

/// A checkpoint of the chain as it is now; the last one again when nothing has happened since. The flag says whether it
/// was made. `None`: the project has no key to sign with any more.
pub async fn make(app: &App, project: ProjectId, now: Timestamp) -> Result<Option<(CheckpointRow, bool)>> {
    let read = app.db.read(|conn| async move {
        let head = audit_checkpoints::head(&conn, project).await?;
        let Some(head) = head.filter(|head| head.seq > 0) else { return Ok(None) };
        let known = audit_checkpoints::find(&conn, project, head.seq).await?;
        Ok(Some((head, known, Hand::find(&conn, project).await?)))
    });
    let Some((head, known, hand)) = read.await? else { return Ok(None) };
    if let Some(known) = known {
        return Ok(Some((known, false)));
    }
    let Some(hand) = hand else { return Ok(None) };
    let (iss, hash) = (hand.by.issuer.clone(), encode_base64url(&head.hash));
    let claims = Claims { iss, project, seq: head.seq, hash, at: now };
    let Some((jws, kid)) = hand.sign(app, TYPE, &claims)? else { return Ok(None) };
    let made = &CheckpointRow { seq: head.seq, at: now, kid, jws };
    let insert = |conn| async move { audit_checkpoints::insert(&conn, project, made).await };
    if app.db.write(insert).await? == 1 {
        return Ok(Some((made.clone(), true)));
    }
    let find = |conn| async move { audit_checkpoints::find(&conn, project, made.seq).await };
    Ok(app.db.read(find).await?.map(|row| (row, false)))
}

/// The checkpoints of a chain, newest first, beyond the number `after`.
pub async fn list(
    app: &App,
    project: ProjectId,
    after: Option<i64>,
    limit: i64,
) -> Result<Vec<CheckpointRow>> {
    app.db.read(|conn| async move { audit_checkpoints::list(&conn, project, after, limit).await }).await
}
