//! The refresh token grant (RFC 6749, 6) and `refresh`: lossless rotation on one row. A lost response may be asked for again; only a real replay ends the family.

use super::Face;
use crate::app::{Ctx, Visit};
use crate::audit::{self, Actor};
use crate::error::{Error, Result, invalid_grant, invalid_scope};
use crate::events::{self, Kind, note};
use crate::keys::refresh_token::RefreshToken;
use crate::model::client::{Client, GrantType, RefreshRetry};
use crate::model::token::Family;
use crate::oauth::client_auth::Presented;
use crate::oauth::issue::{Grant, TokenSet, issue};
use crate::oauth::resources;
use crate::oauth::token::TokenRequest;
use crate::secret::Secret;
use crate::session::standing::{ATTEMPTS, Asker, prove};
use crate::store::db::Conn;
use crate::store::families::{self, Lifetime, Renewal, Rotation};
use crate::store::liveness::Question;
use crate::store::logout_tokens;

/// What a presented sequence number means for a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judgement {
    /// The newest token: rotate.
    Rotate,
    /// The predecessor within the window: the same successor again.
    Repeat,
    /// The predecessor after the window, and the client may retry until the successor is used.
    Replace,
    Replay,
    /// Higher than we ever gave out: the store was set back.
    Ahead,
}

fn judge(client: &Client, family: &Family, seq: i64, seconds_since_rotation: i64) -> Judgement {
    if seq == family.seq {
        return Judgement::Rotate;
    }
    if seq > family.seq {
        return Judgement::Ahead;
    }
    if family.prev_seq != Some(seq) {
        return Judgement::Replay;
    }
    if seconds_since_rotation <= client.settings.refresh_grace_seconds.clamp(0, 60) {
        return Judgement::Repeat;
    }
    match client.settings.refresh_retry {
        RefreshRetry::UntilUsed => Judgement::Replace,
        RefreshRetry::Window => Judgement::Replay,
    }
}

/// What the client sends.
pub struct Request {
    pub refresh_token: Secret,
    pub scope: Option<String>,
    /// RFC 8707, 2.2. None: all that were granted.
    pub resources: Vec<String>,
    pub face: Face,
}

/// As the token endpoint gets it.
///
/// # Errors
/// `invalid_request` for what is missing; otherwise as [`refresh`].
pub async fn answer(visit: &Visit, TokenRequest { credentials, mut form }: TokenRequest) -> Result<TokenSet> {
    let request = Request {
        refresh_token: form.required_secret("refresh_token")?,
        scope: form.get("scope").map(str::to_owned),
        resources: resources::named(&form),
        face: Face::OAuth,
    };
    refresh(visit, credentials, &request).await
}

/// # Errors
/// `invalid_grant` for a token that is forged, unknown, expired, ended, of another client, or replayed; `invalid_scope`
/// and `invalid_target` when more is asked for
/// than was granted.
pub async fn refresh(visit: &Visit, presented: Presented, request: &Request) -> Result<TokenSet> {
    let refused = || invalid_grant("the refresh token is not valid");
    let jkt = presented.jkt().map(str::to_owned);
    let asker = Asker::Client(presented);
    // A concurrent call may win the compare-and-set; judging again then finds its successor.
    for _ in 0..ATTEMPTS {
        let proven = prove(visit, &asker, |ctx| {
            // The MAC is checked before the store is asked: a forged token costs no statement.
            let keys = &ctx.app.master_keys;
            let token = RefreshToken::parse(keys, ctx.project.id, request.refresh_token.expose())
                .ok_or_else(refused)?;
            let question = Question { family: Some(token.family), ..Question::default() };
            Ok((token, question))
        })
        .await?;
        let (ctx, token) = (&proven.ctx, &proven.seen);
        let client = &proven.client.as_ref().ok_or_else(refused)?.client;
        // Nothing is revoked for a wrong client, or strangers could sign people out.
        let family = proven.standing.family.filter(|family| family.client_id == client.id);
        let family = within_lifetimes(client, family.ok_or_else(refused)?);
        let outcome = renew(ctx, client, token, &family, request, jkt.as_deref()).await;
        let noted = match &outcome {
            Ok(Some(_)) => Some(events::OK),
            Ok(None) => None,
            Err(error) => Some(family.ended(ctx.now).map_or(error.code().as_str(), |ended| ended.reason())),
        };
        if let Some(word) = noted {
            note(ctx, Kind::Refresh, word, Some(client.id), Some(family.user_id));
        }
        if let Some(tokens) = outcome? {
            return Ok(tokens);
        }
    }
    Err(Error::unavailable(1, "a family changed at every attempt of one refresh"))
}

/// What the token is good for, once it and its client are proven; `None` when another call was faster.
async fn renew(
    ctx: &Ctx,
    client: &Client,
    token: &RefreshToken,
    family: &Family,
    request: &Request,
    jkt: Option<&str>,
) -> Result<Option<TokenSet>> {
    if let Some(ended) = family.ended(ctx.now) {
        return Err(invalid_grant(format!("the session has ended: {}", ended.reason())));
    }
    // RFC 9449, 5. Nothing is revoked: whoever stole the token has no key, and must not end the session either.
    if family.cnf_jkt.is_some() && family.cnf_jkt.as_deref() != jkt {
        return Err(invalid_grant("the refresh token is bound to a key that did not prove itself"));
    }
    let granted = (family.audience.as_str(), family.for_resources);
    let asked = Asked {
        scope: &narrowed(family, request.scope.as_deref())?,
        audience: &resources::narrowed(&ctx.entry, client, granted, &request.resources)?,
        face: request.face,
        jkt,
    };
    advance(ctx, client, token, family, asked).await
}

/// An exchange that ran beside a shortening of the lifetimes may have written the former ones where the shortening did not
/// see them. Then its family, which nobody has refreshed yet, is held to what a new one gets.
pub fn within_lifetimes(client: &Client, mut family: Family) -> Family {
    if family.client_version < client.shortened_in {
        let validity = &client.settings.validity;
        family.expires_at = family.expires_at.min(family.rotated_at.plus_seconds(validity.refresh_token));
        family.idle_expires_at =
            family.idle_expires_at.min(family.rotated_at.plus_seconds(validity.refresh_idle));
    }
    family
}

/// Whether the client would get tokens for it now.
pub fn is_good(ctx: &Ctx, client: &Client, family: &Family, token: &RefreshToken) -> bool {
    let seconds = ctx.now.seconds_since(family.rotated_at);
    let judged = match client.rotates_refresh_tokens() {
        true => !matches!(judge(client, family, token.seq, seconds), Judgement::Replay | Judgement::Ahead),
        false => token.seq == family.seq,
    };
    judged && client.may_use(GrantType::RefreshToken) && family.ended(ctx.now).is_none()
}

/// What the answer is to have.
#[derive(Clone, Copy)]
struct Asked<'a> {
    scope: &'a str,
    audience: &'a str,
    face: Face,
    jkt: Option<&'a str>,
}

/// One attempt; `None` when another call changed the row first.
async fn advance(
    ctx: &Ctx,
    client: &Client,
    token: &RefreshToken,
    family: &Family,
    Asked { scope, audience, face, jkt }: Asked<'_>,
) -> Result<Option<TokenSet>> {
    let (db, project) = (&ctx.app.db, ctx.project.id);
    let issue =
        |grant: Grant<'_>| issue(ctx, client, &Grant { audience, cnf_jkt: jkt, ..grant }, face).map(Some);
    let idle = ctx.now.plus_seconds(client.settings.validity.refresh_idle);
    let current = ctx.app.master_keys.current_id();
    let lifetime = Lifetime { idle_expires_at: idle, expires_at: family.expires_at };
    let renewal = Renewal { lifetime, client_version: client.version };
    if !client.rotates_refresh_tokens() {
        if token.seq != family.seq {
            return Err(invalid_grant("the refresh token is not valid"));
        }
        // Written only when it moves by a twentieth, so that a busy client does not write at every call.
        let moves = idle.seconds_since(family.idle_expires_at) * 20 >= client.settings.validity.refresh_idle;
        if moves {
            let extend =
                |conn: Conn| async move { families::extend(&conn, project, ctx.now, family, renewal).await };
            if db.write(extend).await? == 0 {
                return Ok(None);
            }
        }
        let idle = if moves { idle } else { family.idle_expires_at };
        return issue(grant(family, scope, &family.mac_key_id, family.seq, idle));
    }
    match judge(client, family, token.seq, ctx.now.seconds_since(family.rotated_at)) {
        Judgement::Rotate => {
            let rotation = Rotation {
                project,
                id: family.id,
                now: ctx.now,
                seq: family.seq,
                client_version: family.client_version,
                mac_key_id: current.to_owned(),
                renewal,
            };
            if !ctx.app.rotations.rotate(rotation).await? {
                return Ok(None);
            }
            issue(grant(family, scope, current, token.seq + 1, idle))
        }
        Judgement::Repeat => {
            let again = grant(family, scope, &family.mac_key_id, family.seq, family.idle_expires_at);
            issue(again)
        }
        Judgement::Replace => {
            let won = db
                .write(|conn| async move {
                    families::rotate_again(&conn, project, ctx.now, family.id, family.seq, current).await
                })
                .await?;
            if won == 0 {
                return Ok(None);
            }
            issue(grant(family, scope, current, family.seq + 1, family.idle_expires_at))
        }
        Judgement::Replay => {
            record(ctx, family, "token_family.replayed", true).await?;
            Err(invalid_grant("the refresh token was used already; the session has been ended"))
        }
        Judgement::Ahead => {
            record(ctx, family, "token_family.ahead_of_store", false).await?;
            Err(invalid_grant("the refresh token is not valid"))
        }
    }
}

/// The trace is committed before the denial is answered.
async fn record(ctx: &Ctx, family: &Family, action: &str, revoke: bool) -> Result<()> {
    ctx.app
        .db
        .unit(|conn| async move {
            if revoke {
                let (project, now) = (ctx.project.id, ctx.now);
                if families::revoke(&conn, project, now, family.id, "refresh_replayed").await? == 0 {
                    return Ok(());
                }
                logout_tokens::owe_for_family(&conn, project, now, family.id).await?;
            }
            let actor = Actor::client(ctx, family.client_id, Some(family.user_id));
            let target = format!("token_family:{}", family.id);
            let event = actor.did(action, &target);
            audit::append(&conn, ctx.project.id, ctx.now, &event).await.map(|_| ())
        })
        .await
}

pub(super) fn grant<'a>(
    family: &'a Family,
    scope: &'a str,
    mac_key_id: &'a str,
    seq: i64,
    idle_expires_at: crate::model::timestamp::Timestamp,
) -> Grant<'a> {
    Grant {
        family: family.id,
        subject: family.subject(),
        scope,
        allowed_as_of: family.allowed_as_of(),
        audience: &family.audience,
        auth_time: family.auth_time,
        amr: &family.amr,
        acr: &family.acr,
        nonce: None,
        person: family.into(),
        claims: family.claims.as_deref(),
        cnf_jkt: None,
        user_version: family.user_version,
        idle_expires_at: idle_expires_at.min(family.expires_at),
        expires_at: family.expires_at,
        mac_key_id,
        seq,
    }
}

/// RFC 6749, 6: the scope may shrink for one answer and never grows. A client may repeat what it asked for at first, also
/// where less was granted, and `offline_access`, which the session API grants unasked; the answer names the granted scope
/// and nothing else.
fn narrowed(family: &Family, asked: Option<&str>) -> Result<String> {
    let granted = family.scope.as_str();
    let Some(asked) = asked else { return Ok(granted.to_owned()) };
    let requested = family.requested_scope.as_deref().unwrap_or_default();
    let has = |scope: &str, word: &str| scope.split(' ').any(|known| known == word);
    let asked: Vec<&str> = asked.split_ascii_whitespace().collect();
    let known = |word: &&str| has(granted, word) || has(requested, word) || *word == "offline_access";
    if asked.is_empty() || !asked.iter().all(known) {
        return Err(invalid_scope("scope asks for more than was granted"));
    }
    Ok(granted.split(' ').filter(|word| asked.contains(word)).collect::<Vec<_>>().join(" "))
}
