//! `GetTokenFromCode`: one code becomes one token family.

use serde_json::json;

use super::tokens::{Grant, TokenSet, issue};
use crate::app::Ctx;
use crate::audit::{self, Event};
use crate::error::{Result, invalid_grant};
use crate::ids::FamilyId;
use crate::model::client::Client;
use crate::model::user::UserRow;
use crate::secret::{Secret, encode_base64url, equal_in_constant_time, sha256};
use crate::store::codes::{self, CodeRow};
use crate::store::families::{self, Lifetime};
use crate::store::users;

/// At most this many live families per user and client; the longest unused ends.
const MOST_FAMILIES: i64 = 100;

/// What the client sends.
pub struct Request {
    pub code: Secret,
    pub redirect_uri: String,
    pub code_verifier: Option<Secret>,
}

/// The verdict of the unit: a denial may leave a trace, so it is committed before it is answered.
enum Verdict {
    Granted(Box<(CodeRow, UserRow)>),
    Denied(&'static str),
}

/// # Errors
/// `invalid_grant` for a code that is unknown, used, expired, of another client or redirect URI, for a wrong verifier,
/// and for a sign-in that has ended.
pub async fn exchange(ctx: &Ctx, client: &Client, request: &Request) -> Result<TokenSet> {
    let (hash, family): (_, FamilyId) = (request.code.sha256(), ctx.app.entropy.id(ctx.now)?);
    let lifetime = Lifetime {
        idle_expires_at: ctx.now.plus_seconds(client.settings.validity.refresh_idle),
        expires_at: ctx.now.plus_seconds(client.settings.validity.refresh_token),
    };
    let mac_key_id = ctx.app.master_keys.current_id();
    let hash = &hash;
    let verdict = ctx
        .app
        .db
        .unit(|conn| async move {
            let project = ctx.project.id;
            let Some(code) = codes::find(&conn, project, hash).await? else {
                return Ok(Verdict::Denied("the code is unknown"));
            };
            // RFC 6749, 4.1.3: client, redirect URI and verifier come first, so that a stranger neither burns nor revokes.
            if let Err(why) = check_binding(client, request, &code) {
                return Ok(Verdict::Denied(why));
            }
            if code.consumed_at.is_some() {
                return revoke_replayed(ctx, &conn, &code).await;
            }
            let denied = Ok(Verdict::Denied("the code has expired or its sign-in has ended"));
            if !ctx.project.is_active()
                || code.project_epoch != ctx.project.token_epoch
                || code.client_epoch != client.token_epoch
                || users::touch_sign_in(&conn, project, ctx.now, code.user_id, code.user_epoch).await? == 0
                || codes::consume(&conn, project, ctx.now, hash, family).await? == 0
            {
                return denied;
            }
            families::insert(&conn, project, ctx.now, family, &code, mac_key_id, lifetime).await?;
            families::displace(&conn, project, ctx.now, &code, MOST_FAMILIES).await?;
            match users::find(&conn, project, code.user_id).await? {
                Some(user) => Ok(Verdict::Granted(Box::new((code, user)))),
                None => denied,
            }
        })
        .await?;
    let (code, user) = match verdict {
        Verdict::Granted(granted) => *granted,
        Verdict::Denied(why) => return Err(invalid_grant(why)),
    };
    let grant = Grant {
        family,
        user: code.user_id,
        scope: &code.scope,
        audience: &code.audience,
        auth_time: code.auth_time,
        amr: &code.amr,
        acr: &code.acr,
        nonce: code.nonce.as_deref(),
        roles: &user.roles,
        groups: &user.groups,
        user_version: user.version,
        idle_expires_at: lifetime.idle_expires_at,
        expires_at: lifetime.expires_at,
        mac_key_id,
        seq: 0,
    };
    issue(ctx, client, &grant)
}

fn check_binding(client: &Client, request: &Request, code: &CodeRow) -> Result<(), &'static str> {
    if code.client_id != client.id {
        return Err("the code is unknown");
    }
    if code.redirect_uri != request.redirect_uri {
        return Err("redirect_uri is not the one of the authorization request");
    }
    match (&code.code_challenge, &request.code_verifier) {
        (None, None) => Ok(()),
        // RFC 9700, 4.8.2: a verifier for a code without challenge is a downgrade.
        (None, Some(_)) => Err("the authorization request had no code_challenge"),
        (Some(_), None) => Err("code_verifier is missing"),
        (Some(challenge), Some(verifier)) => {
            let computed = encode_base64url(&sha256(verifier.expose().as_bytes()));
            let fits = equal_in_constant_time(computed.as_bytes(), challenge.as_bytes());
            if fits { Ok(()) } else { Err("code_verifier does not match") }
        }
    }
}

/// RFC 6749, 4.1.2: a second use ends what the first one got.
async fn revoke_replayed(ctx: &Ctx, conn: &crate::store::db::Conn, code: &CodeRow) -> Result<Verdict> {
    if let Some(family) = code.family_id
        && families::revoke(conn, ctx.project.id, ctx.now, family, "code_replayed").await? == 1
    {
        let event = Event {
            actor: &format!("client:{}", code.client_id),
            actor_kind: "client",
            action: "authorization_code.replayed",
            target: &format!("token_family:{family}"),
            reason: "",
            detail: json!({}),
            request_id: &ctx.request_id,
        };
        audit::append(conn, ctx.project.id, ctx.now, &event).await?;
    }
    Ok(Verdict::Denied("the code has been used already"))
}
