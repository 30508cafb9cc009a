//! An assertion (Web Authentication, 7.2).

use serde_json::{Value, json};
use webauthn_rs::prelude::{
    AuthenticationResult, DiscoverableAuthentication, Passkey, PublicKeyCredential, WebauthnError,
};

use super::challenge::{self, Asked, Opened};
use super::{Answered, Question, RelyingParty, relying_party};
use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::{Error, Result};
use crate::ids::{PasskeyId, UserId};
use crate::model::proven;
use crate::secret::encode_base64url;
use crate::store::passkeys::{self, PasskeyProof, Used};

/// What a passkey has proved. Its authenticator has verified the person each time, so it stands for two factors.
pub struct Proven {
    pub id: PasskeyId,
    pub user: UserId,
    /// Read in the same statement as the passkey.
    pub project_epoch: i64,
    pub user_epoch: i64,
    pub browser_epoch: i64,
    pub passkey: proven::Passkey,
}

/// Asks for a passkey: of the person, if we know who it is, or of whoever the authenticator knows. `None`: the person has none
/// that would do here.
pub async fn ask(ctx: &Ctx, asked: &Asked) -> Result<Option<Question>> {
    let Some(user) = asked.user else { return ask_anybody(ctx, asked).map(Some) };
    let party = relying_party(ctx)?;
    let allowed = ids_of(ctx, &party, user).await?;
    if allowed.is_empty() {
        return Ok(None);
    }
    question(ctx, &party, asked, allowed).map(Some)
}

/// The same of whoever the authenticator knows.
pub fn ask_anybody(ctx: &Ctx, asked: &Asked) -> Result<Question> {
    question(ctx, &relying_party(ctx)?, asked, Vec::new())
}

fn question(ctx: &Ctx, party: &RelyingParty, asked: &Asked, allowed: Vec<Value>) -> Result<Question> {
    let (asking, state) = party.webauthn.start_discoverable_authentication().map_err(Error::internal)?;
    let mut options = serde_json::to_value(&asking.public_key).map_err(Error::internal)?;
    if let Some(options) = options.as_object_mut() {
        options.insert("allowCredentials".into(), Value::Array(allowed));
        options.remove("extensions");
    }
    let challenge = challenge::seal(ctx, asked, state, &asking.public_key.challenge)?;
    Ok(Question { options, challenge })
}

async fn ids_of(ctx: &Ctx, party: &RelyingParty, user: UserId) -> Result<Vec<Value>> {
    let project = ctx.project.id;
    let rows = ctx.app.db.read(|conn| async move { passkeys::list(&conn, project, user).await }).await?;
    let here = rows.into_iter().filter(|row| row.rp_id == party.id);
    Ok(here.map(|row| json!({"type": "public-key", "id": encode_base64url(&row.credential_id)})).collect())
}

/// Judges an answer to [`ask`] with the same `asked`. `None`, whatever is wrong with it: a stranger learns nothing of what
/// there is.
pub async fn prove(ctx: &Ctx, asked: &Asked, answered: &Answered<'_>) -> Result<Option<Proven>> {
    let party = relying_party(ctx)?;
    let Some(opened) = challenge::open::<DiscoverableAuthentication>(ctx, asked, answered.challenge) else {
        return refused("the challenge was made for something else, or is too old");
    };
    let Ok(credential) = serde_json::from_str::<PublicKeyCredential>(answered.credential) else {
        return refused("no credential");
    };
    let (project, id) = (ctx.project.id, credential.get_credential_id());
    let found = ctx.app.db.read(|conn| async move { passkeys::find_proof(&conn, project, id).await }).await?;
    let Some(proof) = found.filter(|proof| is_of(&party, asked, proof, &credential)) else {
        return refused("the project has no such passkey of this person");
    };
    let mut passkey: Passkey = serde_json::from_str(&proof.passkey).map_err(Error::internal)?;
    let state = opened.state.clone();
    match party.webauthn.finish_discoverable_authentication_v2(&credential, state, &passkey) {
        Ok(result) => {
            passkey.update_credential(&result);
            accept(ctx, &opened, proof, &passkey, &result).await
        }
        Err(WebauthnError::CredentialPossibleCompromise) => note_regression(ctx, &opened, &proof).await,
        Err(error) => {
            tracing::debug!(cause = %error, "a passkey was refused");
            Ok(None)
        }
    }
}

fn refused(why: &'static str) -> Result<Option<Proven>> {
    tracing::debug!(why, "a passkey was refused");
    Ok(None)
}

/// Web Authentication, 7.2, steps 5 and 6: a user handle has to be there when nothing else says who it is, and is never
/// another user's.
fn is_of(
    party: &RelyingParty,
    asked: &Asked,
    proof: &PasskeyProof,
    credential: &PublicKeyCredential,
) -> bool {
    let handle = credential.get_user_unique_id();
    let is_handle = handle.map_or(asked.user.is_some(), |handle| handle == proof.user_handle.as_bytes());
    let is_user = asked.user.is_none_or(|user| user == proof.user_id);
    is_handle && is_user && proof.rp_id == party.id && proof.status == "active"
}

/// Uses the challenge up, and advances the counter that was judged.
async fn accept(
    ctx: &Ctx,
    opened: &Opened<DiscoverableAuthentication>,
    proof: PasskeyProof,
    passkey: &Passkey,
    result: &AuthenticationResult,
) -> Result<Option<Proven>> {
    let text = &serde_json::to_string(passkey).map_err(Error::internal)?;
    let used =
        &Used { passkey: text, counter: i64::from(result.counter()), backed_up: result.backup_state() };
    let (id, read) = (proof.id, proof.counter);
    let is_first = ctx
        .app
        .db
        .unit(|conn| async move {
            let is_first = opened.spend(&conn, ctx).await?;
            Ok(is_first && passkeys::mark_used(&conn, ctx.project.id, ctx.now, id, read, used).await? == 1)
        })
        .await?;
    if !is_first {
        return refused("the challenge has been used, or the passkey is gone");
    }
    Ok(Some(Proven {
        id,
        user: proof.user_id,
        project_epoch: proof.project_epoch,
        user_epoch: proof.user_epoch,
        browser_epoch: proof.browser_epoch,
        // A key that leaves its device is one of software (RFC 8176, 2).
        passkey: proven::Passkey { verified: true, synced: result.backup_eligible() },
    }))
}

/// Web Authentication, 6.1.1: a counter that does not grow says that there is a copy of the key. Nobody gets in with it, and
/// the record says so, once for each challenge.
async fn note_regression(
    ctx: &Ctx,
    opened: &Opened<DiscoverableAuthentication>,
    proof: &PasskeyProof,
) -> Result<Option<Proven>> {
    ctx.app
        .db
        .unit(|conn| async move {
            if !opened.spend(&conn, ctx).await? {
                return Ok(());
            }
            let (actor, target) = (Actor::user(ctx, proof.user_id), format!("passkey:{}", proof.id));
            let detail = json!({"user": audit::user_name(ctx, proof.user_id), "counter": proof.counter});
            let event = actor.did("passkey.counter_regressed", &target).with(detail);
            audit::append(&conn, ctx.project.id, ctx.now, &event).await.map(drop)
        })
        .await?;
    refused("the counter did not grow")
}
