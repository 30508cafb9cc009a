//! The authorization code grant (RFC 6749, 4.1.3) and `GetTokenFromCode`: one code becomes one token family.

use super::Face;
use crate::app::{Ctx, Visit};
use crate::audit::{self, Actor};
use crate::error::{Error, Result, invalid_grant};
use crate::events::{self, Kind, note};
use crate::ids::FamilyId;
use crate::model::client::{Client, SubjectType};
use crate::model::timestamp::Timestamp;
use crate::oauth::issue::{Grant, TokenSet, issue};
use crate::oauth::resources::{named as resources, narrowed};
use crate::oauth::token::TokenRequest;
use crate::oauth::{client_auth, subject};
use crate::secret::{Secret, encode_base64url, equal_in_constant_time, sha256};
use crate::session::standing::ATTEMPTS;
use crate::store::codes::{self, CodeRow, Presented};
use crate::store::db::Conn;
use crate::store::families::{self, Lifetime, NewFamily};
use crate::store::logout_tokens;
use crate::store::users::{self, SignedIn};

/// What the client sends.
pub struct Request {
    pub code: Secret,
    pub redirect_uri: String,
    pub code_verifier: Option<Secret>,
    pub face: Face,
    /// The resource servers that the first access token is for; none: all that were granted (RFC 8707, 2.2).
    pub resources: Vec<String>,
}

/// As the token endpoint gets it.
///
/// # Errors
/// `invalid_request` for what is missing; otherwise as [`exchange`].
pub async fn answer(visit: &Visit, TokenRequest { credentials, mut form }: TokenRequest) -> Result<TokenSet> {
    let request = Request {
        code: form.required_secret("code")?,
        redirect_uri: form.required("redirect_uri")?.to_owned(),
        code_verifier: form.secret("code_verifier"),
        face: Face::OAuth,
        resources: resources(&form),
    };
    exchange(visit, &credentials, &request).await
}

/// A code that was used up, whose it is, and what its tokens say of that.
pub(super) struct Granted {
    pub(super) code: CodeRow,
    pub(super) user: SignedIn,
    pub(super) audience: String,
    pub(super) subject: String,
    pub(super) lifetime: Lifetime,
}

const UNKNOWN: &str = "the code is unknown";

/// The verdict of the unit: the denial of a replay leaves a trace, so it is committed before it is answered. The others
/// have written nothing.
enum Verdict {
    Granted(Box<Granted>),
    Denied(&'static str),
    /// What is remembered of the project or the client is old: judge again from the start.
    Stale,
}

/// # Errors
/// `invalid_client`; `invalid_grant` for a code that is unknown, used, expired, of another client or redirect URI, for a
/// wrong verifier, and for a sign-in that has ended.
pub async fn exchange(
    visit: &Visit,
    presented: &client_auth::Presented,
    request: &Request,
) -> Result<TokenSet> {
    let (hash, family): (_, FamilyId) = (request.code.sha256(), visit.app.entropy.id(visit.now)?);
    for _ in 0..ATTEMPTS {
        let ctx = visit.remembered().await?;
        let client = client_auth::authenticate(&ctx, presented).await?;
        let granted = match consume(&ctx, &client.client, request, presented.jkt(), &hash, family).await? {
            Verdict::Granted(granted) => granted,
            Verdict::Denied(why) => {
                // Anybody may make codes up.
                if why != UNKNOWN {
                    note(&ctx, Kind::Exchange, "refused", Some(client.client.id), None);
                }
                return Err(invalid_grant(why));
            }
            Verdict::Stale => {
                ctx.app.cache.forget_project(ctx.project.id);
                ctx.app.cache.forget_client(ctx.project.id, client.client.id);
                continue;
            }
        };
        let grant = grant(&ctx, &client.client, family, &granted);
        let grant = Grant { cnf_jkt: presented.jkt(), ..grant };
        note(&ctx, Kind::Exchange, events::OK, Some(client.client.id), Some(granted.code.user_id));
        return issue(&ctx, &client.client, &grant, request.face);
    }
    Err(Error::unavailable(1, "the project or the client changed at every attempt"))
}

/// The one transaction of an exchange.
async fn consume(
    ctx: &Ctx,
    client: &Client,
    request: &Request,
    jkt: Option<&str>,
    hash: &[u8],
    family: FamilyId,
) -> Result<Verdict> {
    let (project, now) = (ctx.project.id, ctx.now);
    let verdict = |conn: Conn| async move {
        let Some(presented) = codes::present(&conn, project, client.id, hash).await? else {
            return Ok(Verdict::Stale);
        };
        if presented.project_version != ctx.project.version || presented.client_version != client.version {
            return Ok(Verdict::Stale);
        }
        let Some(code) = &presented.code else { return Ok(Verdict::Denied(UNKNOWN)) };
        // RFC 6749, 4.1.3: client, redirect URI and verifier come first, so that a stranger neither burns nor revokes.
        if let Err(why) = check_binding(client, request, jkt, code) {
            return Ok(Verdict::Denied(why));
        }
        if code.consumed_at.is_some() {
            return revoke_replayed(ctx, &conn, code).await;
        }
        let denied = Ok(Verdict::Denied("the code has expired or its sign-in has ended"));
        if !is_current(&presented, code, now) {
            return denied;
        }
        // Refused before anything is written: the code can be used again.
        let granted = (code.audience.as_str(), code.for_resources);
        let audience = narrowed(&ctx.entry, client, granted, &request.resources)?;
        let lifetime = lifetime_of(ctx, client, request.face, code, &presented);
        if lifetime.expires_at <= now {
            return denied;
        }
        let user = users::touch_sign_in(&conn, project, now, code.user_id, code.user_epoch).await?;
        let Some(user) = user else { return denied };
        let consumed = codes::consume(&conn, project, now, hash, family).await?;
        let browser_session_id = consumed.ok_or_else(overtaken)?;
        // A new sign-in in the same browser may have taken the code over since it was read.
        let code = CodeRow { browser_session_id, ..code.clone() };
        let subject = subject(ctx, client, code.user_id)?;
        let granted = Granted { code, user, audience, subject, lifetime };
        begin(ctx, &conn, client, family, &granted, request.face, jkt).await?;
        Ok(Verdict::Granted(Box::new(granted)))
    };
    ctx.app.db.unit(verdict).await
}

/// Whether the code may still become a family.
fn is_current(presented: &Presented, code: &CodeRow, now: Timestamp) -> bool {
    presented.project_status == "active"
        && code.project_epoch == presented.project_epoch
        && code.client_epoch == presented.client_epoch
        && code.expires_at > now
        && presented.session_lives
}

/// Begins the family, and looks around once more: whoever ends the browser session from now on waits for the code that is
/// used up here, and finds the family.
pub(super) async fn begin(
    ctx: &Ctx,
    conn: &Conn,
    client: &Client,
    id: FamilyId,
    Granted { code, subject, lifetime, .. }: &Granted,
    face: Face,
    jkt: Option<&str>,
) -> Result<()> {
    let (project, now) = (ctx.project.id, ctx.now);
    let is_pairwise = client.settings.subject_type == SubjectType::Pairwise;
    let new = NewFamily {
        id,
        code,
        offline: is_offline(client, face, code),
        first_party: client.settings.first_party,
        subject: is_pairwise.then_some(subject.as_str()),
        mac_key_id: ctx.app.master_keys.current_id(),
        lifetime: *lifetime,
        client_version: client.version,
        // RFC 9449, 5: the refresh tokens of others are bound to the client, which proves itself.
        cnf_jkt: jkt.filter(|_| client.is_public()),
    };
    families::insert(conn, project, now, &new).await?;
    let around = families::look_around(conn, project, now, code).await?.ok_or_else(overtaken)?;
    if around.client_version != client.version || !around.session_lives {
        return Err(overtaken());
    }
    let most = ctx.project.settings.max_families;
    if around.families > most {
        families::displace(conn, project, now, code, most).await?;
        logout_tokens::owe_for_revoked(conn, project, now, code.user_id).await?;
    }
    Ok(())
}

/// Somebody changed what was read, or used the code, at the same time. The unit is undone and run again, and then sees it.
pub(super) fn overtaken() -> Error {
    Error::unavailable(1, "an exchange was overtaken at every attempt").retrying_unit()
}

/// Whether the family outlives its browser session (OpenID Connect Core, 11). The session API grants it unasked, to a
/// project's own applications.
fn is_offline(client: &Client, face: Face, code: &CodeRow) -> bool {
    (face == Face::SessionApi && client.settings.first_party)
        || code.scope.split(' ').any(|scope| scope == "offline_access")
}

pub(super) fn lifetime(ctx: &Ctx, client: &Client) -> Lifetime {
    let validity = &client.settings.validity;
    Lifetime {
        idle_expires_at: ctx.now.plus_seconds(validity.refresh_idle),
        expires_at: ctx.now.plus_seconds(validity.refresh_token),
    }
}

/// What is not offline ends with the browser session also when nobody ends that, and whoever uses the browser next.
fn lifetime_of(ctx: &Ctx, client: &Client, face: Face, code: &CodeRow, presented: &Presented) -> Lifetime {
    let own = lifetime(ctx, client);
    match presented.session_expires_at {
        Some(end) if !is_offline(client, face, code) => {
            Lifetime { idle_expires_at: own.idle_expires_at.min(end), expires_at: own.expires_at.min(end) }
        }
        _ => own,
    }
}

pub(super) fn grant<'a>(
    ctx: &'a Ctx,
    client: &Client,
    family: FamilyId,
    Granted { code, user, audience, subject, lifetime }: &'a Granted,
) -> Grant<'a> {
    Grant {
        family,
        subject: subject.clone(),
        scope: &code.scope,
        allowed_as_of: (!client.settings.first_party).then_some(code.scopes_as_of),
        audience,
        auth_time: code.auth_time,
        amr: &code.amr,
        acr: &code.acr,
        nonce: code.nonce.as_deref(),
        person: user.into(),
        claims: code.claims.as_deref(),
        cnf_jkt: None,
        user_version: user.version,
        idle_expires_at: lifetime.idle_expires_at,
        expires_at: lifetime.expires_at,
        mac_key_id: ctx.app.master_keys.current_id(),
        seq: 0,
    }
}

fn check_binding(
    client: &Client,
    request: &Request,
    jkt: Option<&str>,
    code: &CodeRow,
) -> Result<(), &'static str> {
    if code.client_id != client.id {
        return Err("the code is unknown");
    }
    if code.redirect_uri != request.redirect_uri {
        return Err("redirect_uri is not the one of the authorization request");
    }
    // RFC 9449, 10.
    if code.dpop_jkt.is_some() && code.dpop_jkt.as_deref() != jkt {
        return Err("the code is for a key that did not prove itself");
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
async fn revoke_replayed(ctx: &Ctx, conn: &Conn, code: &CodeRow) -> Result<Verdict> {
    if let Some(family) = code.family_id
        && families::revoke(conn, ctx.project.id, ctx.now, family, "code_replayed").await? == 1
    {
        logout_tokens::owe_for_family(conn, ctx.project.id, ctx.now, family).await?;
        let actor = Actor::client(ctx, code.client_id, Some(code.user_id));
        let target = format!("token_family:{family}");
        let event = actor.did("authorization_code.replayed", &target);
        audit::append(conn, ctx.project.id, ctx.now, &event).await?;
    }
    Ok(Verdict::Denied("the code has been used already"))
}
