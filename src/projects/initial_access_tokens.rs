//! Initial access tokens (RFC 7591, 1.2): who may register clients, how many, and until when.

use serde_json::json;

use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::{Error, Result, invalid_token, not_found};
use crate::ids::InitialAccessTokenId;
use crate::model::names::check_display_name;
use crate::model::timestamp::Timestamp;
use crate::secret::Secret;
use crate::store::db::Conn;
use crate::store::initial_access_tokens::{self, InitialAccessToken};

/// What every initial access token begins with.
const PREFIX: &str = "tia_";

const USUAL_SECONDS: i64 = 7 * 86_400;
const MOST_SECONDS: i64 = 366 * 86_400;
const MOST_USES: i64 = 1000;

pub struct NewInitialAccessToken {
    pub name: String,
    /// `None`: one client.
    pub max_uses: Option<i64>,
    pub end: End,
}

/// Until when it serves.
pub enum End {
    /// A week.
    Usual,
    After(i64),
    At(Timestamp),
}

/// Makes a token, which is given once.
///
/// # Errors
/// `invalid_request` naming the field and the bound.
pub async fn create(
    ctx: &Ctx,
    actor: &Actor,
    new: NewInitialAccessToken,
) -> Result<(InitialAccessToken, Secret)> {
    check_display_name("name", &new.name)?;
    let max_uses = new.max_uses.unwrap_or(1);
    if !(1..=MOST_USES).contains(&max_uses) {
        let bound = format!("max_uses must lie between 1 and {MOST_USES}");
        return Err(Error::invalid_field("max_uses", bound));
    }
    let token = InitialAccessToken {
        id: ctx.app.entropy.id(ctx.now)?,
        name: new.name,
        max_uses,
        uses: 0,
        created_at: ctx.now,
        expires_at: ends_at(ctx.now, &new.end)?,
    };
    let secret = ctx.app.entropy.token(PREFIX)?;
    let (made, hash) = (&token, &secret.sha256());
    ctx.app
        .db
        .unit(|conn| async move {
            initial_access_tokens::insert(&conn, ctx.project.id, made, hash).await?;
            let detail = json!({"name": made.name, "max_uses": made.max_uses, "expires_at": made.expires_at});
            record(ctx, &conn, actor, "initial_access_token.created", made.id, detail).await
        })
        .await?;
    Ok((token, secret))
}

fn ends_at(now: Timestamp, end: &End) -> Result<Timestamp> {
    match *end {
        End::Usual => Ok(now.plus_seconds(USUAL_SECONDS)),
        End::After(seconds) if (1..=MOST_SECONDS).contains(&seconds) => Ok(now.plus_seconds(seconds)),
        End::After(_) => {
            let bound = format!("expires_in_seconds must lie between 1 and {MOST_SECONDS}");
            Err(Error::invalid_field("expires_in_seconds", bound))
        }
        End::At(end) if end > now && end <= now.plus_seconds(MOST_SECONDS) => Ok(end),
        End::At(_) => {
            Err(Error::invalid_field("expires_at", "expires_at lies in the future, at most 366 days away"))
        }
    }
}

/// Tokens by age.
pub async fn list(
    ctx: &Ctx,
    after: Option<InitialAccessTokenId>,
    limit: i64,
) -> Result<Vec<InitialAccessToken>> {
    let project = ctx.project.id;
    ctx.app
        .db
        .read(|conn| async move { initial_access_tokens::list(&conn, project, after, limit).await })
        .await
}

/// From now on nobody registers with it. What was registered stays.
///
/// # Errors
/// 404 for one that is not there.
pub async fn revoke(ctx: &Ctx, actor: &Actor, id: InitialAccessTokenId) -> Result<()> {
    ctx.app
        .db
        .unit(|conn| async move {
            if initial_access_tokens::delete(&conn, ctx.project.id, id).await? == 0 {
                return Err(not_found("no such initial access token"));
            }
            record(ctx, &conn, actor, "initial_access_token.revoked", id, json!({})).await
        })
        .await
}

/// # Errors
/// `invalid_token` for a token that is missing, unknown, expired or used up.
pub async fn authenticate(ctx: &Ctx, token: Option<&Secret>) -> Result<InitialAccessTokenId> {
    let hash = &token.ok_or_else(|| invalid_token("the request carries no initial access token"))?.sha256();
    let project = ctx.project.id;
    let found = ctx
        .app
        .db
        .read(|conn| async move { initial_access_tokens::find_live(&conn, project, ctx.now, hash).await })
        .await?;
    found.ok_or_else(not_valid)
}

/// All that do not serve answer alike.
pub(super) fn not_valid() -> Error {
    invalid_token("the initial access token is not valid here")
}

/// How the audit log names a token.
pub fn target(id: InitialAccessTokenId) -> String {
    format!("initial_access_token:{id}")
}

async fn record(
    ctx: &Ctx,
    conn: &Conn,
    actor: &Actor,
    action: &str,
    id: InitialAccessTokenId,
    detail: serde_json::Value,
) -> Result<()> {
    let target = target(id);
    audit::append(conn, ctx.project.id, ctx.now, &actor.did(action, &target).with(detail)).await.map(drop)
}
