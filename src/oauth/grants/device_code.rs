//! The device code grant (RFC 8628, 3.4 and 3.5): a device asks until somebody has decided; an approval becomes one token
//! family, which belongs to no browser session.

use super::Face;
use super::authorization_code::{Granted, begin, grant, lifetime, overtaken};
use crate::app::{Ctx, Visit};
use crate::error::{Code, Error, Result, invalid_grant};
use crate::ids::FamilyId;
use crate::model::client::Client;
use crate::oauth::issue::{Grant, TokenSet, issue};
use crate::oauth::resources::{named, narrowed};
use crate::oauth::subject;
use crate::oauth::token::TokenRequest;
use crate::session::standing::{ATTEMPTS, Asker, prove};
use crate::store::codes::CodeRow;
use crate::store::db::Conn;
use crate::store::device_grants::{self, Asking};
use crate::store::liveness::Question;
use crate::store::users;

/// RFC 8628, 3.5: what each hasty question adds to the pause, and where that ends.
const SLOWER_SECONDS: i64 = 5;
const MOST_POLL_SECONDS: i64 = 60;

/// An answer takes its time on the way: a device that keeps to its pause is not called hasty for it.
const GRACE_SECONDS: i64 = 1;

/// What a question leaves behind is committed before it is answered.
enum Verdict {
    Granted(Box<Granted>),
    Denied(Code, &'static str),
    /// The project or the client is no longer what was proven: judge again from the start.
    Stale,
}

/// What the device asks with.
struct Asked<'a> {
    /// The resource servers that the first access token is for; none: all that were granted (RFC 8707, 2.2).
    resources: Vec<String>,
    jkt: Option<&'a str>,
}

const UNKNOWN: Verdict = Verdict::Denied(Code::InvalidGrant, "the device code is unknown");
const ENDED: Verdict = Verdict::Denied(Code::InvalidGrant, "the sign-in that approved the device has ended");

/// # Errors
/// `invalid_client`; `authorization_pending`, `slow_down`, `access_denied`, `expired_token`; `invalid_grant` for a code that
/// is unknown, used, or another client's, and for an approval whose sign-in has ended; `invalid_target` for a resource server
/// that was not granted.
pub async fn answer(visit: &Visit, TokenRequest { credentials, mut form }: TokenRequest) -> Result<TokenSet> {
    let code = form.required_secret("device_code")?;
    let (jkt, resources) = (credentials.jkt().map(str::to_owned), named(&form));
    let asking = Asked { resources, jkt: jkt.as_deref() };
    let (asker, hash) = (Asker::Client(credentials), code.sha256());
    let family: FamilyId = visit.app.entropy.id(visit.now)?;
    for _ in 0..ATTEMPTS {
        let proven = prove(visit, &asker, |_| Ok(((), Question::default()))).await?;
        let ctx = &proven.ctx;
        let client = &proven.asking_client()?.client;
        return match judge(ctx, client, &hash, family, &asking).await? {
            Verdict::Granted(granted) => {
                let grant = grant(ctx, client, family, &granted);
                issue(ctx, client, &Grant { cnf_jkt: jkt.as_deref(), ..grant }, Face::OAuth)
            }
            Verdict::Denied(Code::InvalidGrant, why) => Err(invalid_grant(why)),
            Verdict::Denied(code, why) => Err(Error::new(code, why)),
            Verdict::Stale => continue,
        };
    }
    Err(Error::unavailable(1, "the project or the client changed at every attempt"))
}

async fn judge(
    ctx: &Ctx,
    client: &Client,
    hash: &[u8],
    family: FamilyId,
    asked: &Asked<'_>,
) -> Result<Verdict> {
    let (project, now) = (ctx.project.id, ctx.now);
    let verdict = |conn: Conn| async move {
        let asking = device_grants::find_by_device_code(&conn, project, hash).await?;
        // RFC 8628, 3.4: the code is bound to its client; others learn nothing of it.
        let Some(asking) = asking.filter(|asking| asking.client_id == client.id) else { return Ok(UNKNOWN) };
        if asking.project_version != ctx.project.version || asking.client_version != client.version {
            return Ok(Verdict::Stale);
        }
        if asking.expires_at <= now && asking.state != "consumed" {
            return Ok(Verdict::Denied(Code::ExpiredToken, "the device code has expired"));
        }
        match asking.state.as_str() {
            "pending" => ask_again(ctx, &conn, &asking).await,
            "denied" => Ok(Verdict::Denied(Code::AccessDenied, "the person said no")),
            "approved" => consume(ctx, &conn, client, &asking, family, asked).await,
            _ => Ok(Verdict::Denied(Code::InvalidGrant, "the device code has been used already")),
        }
    };
    ctx.app.db.unit(verdict).await
}

/// Nobody has decided. Two questions at once count as one too many.
async fn ask_again(ctx: &Ctx, conn: &Conn, asking: &Asking) -> Result<Verdict> {
    let (project, now) = (ctx.project.id, ctx.now);
    let next = now.plus_seconds(asking.poll_seconds - GRACE_SECONDS);
    if device_grants::poll(conn, project, now, asking.id, next).await? == 1 {
        return Ok(Verdict::Denied(Code::AuthorizationPending, "nobody has decided yet"));
    }
    let slower = (asking.poll_seconds + SLOWER_SECONDS).min(MOST_POLL_SECONDS);
    let next = now.plus_seconds(slower - GRACE_SECONDS);
    device_grants::slow_down(conn, project, asking.id, slower, next).await?;
    Ok(Verdict::Denied(Code::SlowDown, "the device asks too often: wait for five seconds longer from now on"))
}

/// The exchange, ordered against sign-out like that of a code.
async fn consume(
    ctx: &Ctx,
    conn: &Conn,
    client: &Client,
    asking: &Asking,
    family: FamilyId,
    asked: &Asked<'_>,
) -> Result<Verdict> {
    let (project, now) = (ctx.project.id, ctx.now);
    let code = approved(client, asking).ok_or_else(|| Error::internal("an approval without who approved"))?;
    if !asking.still_holds {
        return Ok(ENDED);
    }
    // Refused before anything is written: the device may ask again, for less.
    let granted = (code.audience.as_str(), code.for_resources);
    let audience = narrowed(&ctx.entry, client, granted, &asked.resources)?;
    let user = users::touch_sign_in(conn, project, now, code.user_id, code.user_epoch).await?;
    let Some(user) = user else { return Ok(ENDED) };
    if device_grants::consume(conn, project, now, asking.id, family).await? == 0 {
        return Err(overtaken());
    }
    let subject = subject(ctx, client, code.user_id)?;
    let granted = Granted { code, user, audience, subject, lifetime: lifetime(ctx, client) };
    begin(ctx, conn, client, family, &granted, Face::OAuth, asked.jkt).await?;
    Ok(Verdict::Granted(Box::new(granted)))
}

/// The approval in the shape of a code: whatever becomes a family has it.
fn approved(client: &Client, asking: &Asking) -> Option<CodeRow> {
    Some(CodeRow {
        client_id: asking.client_id,
        user_id: asking.user_id?,
        browser_session_id: None,
        redirect_uri: String::new(),
        code_challenge: None,
        dpop_jkt: None,
        // Once more: the registration may have changed since.
        scope: client.allowed_scope(&asking.scope),
        scopes_as_of: asking.scopes_as_of,
        requested_scope: asking.requested_scope.clone(),
        nonce: None,
        audience: asking.audience.clone(),
        for_resources: asking.for_resources,
        claims: None,
        auth_time: asking.auth_time?,
        amr: asking.amr.clone()?,
        acr: asking.acr.clone()?,
        user_agent: asking.user_agent.clone(),
        address: asking.address.clone(),
        project_epoch: asking.project_epoch?,
        client_epoch: asking.client_epoch?,
        user_epoch: asking.user_epoch?,
        expires_at: asking.expires_at,
        consumed_at: None,
        family_id: None,
    })
}
