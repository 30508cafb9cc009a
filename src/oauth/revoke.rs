//! Token revocation (RFC 7009). What belongs to a session ends the session; what a client got in its own name ends alone.

use super::client_auth::Presented;
use super::introspect::{Token, recognized};
use super::parameters::Parameters;
use crate::app::{Ctx, Visit};
use crate::audit::{self, Actor};
use crate::error::{Error, Result, unauthorized_client};
use crate::ids::FamilyId;
use crate::model::client::Client;
use crate::model::timestamp::Timestamp;
use crate::model::token::AccessClaims;
use crate::session::standing::{Asker, prove};
use crate::store::{families, revoked_tokens};

/// # Errors
/// `invalid_client`; `invalid_request` without a token; `unauthorized_client` for another client's token (RFC 7009, 2.1).
/// Tokens that are unknown, expired or ended are no error.
pub async fn end(visit: &Visit, credentials: Presented, mut form: Parameters) -> Result<()> {
    let token = form.required_secret("token")?;
    let look = |ctx: &Ctx| Ok(recognized(ctx, token.expose()));
    let proven = prove(visit, &Asker::Client(credentials), look).await?;
    let (ctx, entry) = (&proven.ctx, proven.asking_client()?);
    let client = &entry.client;
    match proven.seen {
        Token::Refresh(_) => match proven.standing.family {
            Some(family) if family.client_id == client.id => end_session(ctx, client, family.id).await,
            Some(_) => Err(of_another()),
            None => Ok(()),
        },
        Token::Access(Ok(claims)) if claims.client_id != client.id.to_string() => Err(of_another()),
        Token::Access(Ok(claims)) => end_access_token(ctx, client, &claims).await,
        Token::Access(Err(_)) => Ok(()),
    }
}

fn of_another() -> Error {
    unauthorized_client("the token is another client's")
}

async fn end_access_token(ctx: &Ctx, client: &Client, claims: &AccessClaims) -> Result<()> {
    if claims.epochs.is_some() {
        let (project, ends) = (ctx.project.id, Timestamp::from_unix(claims.exp));
        let insert = |conn| async move { revoked_tokens::insert(&conn, project, &claims.jti, ends).await };
        return ctx.app.db.write(insert).await.map(|_| ());
    }
    let family = claims.session.as_ref().and_then(|session| session.sid.parse().ok());
    end_session(ctx, client, family.ok_or_else(|| Error::internal("a token belongs to nothing"))?).await
}

/// The trace stands beside the end; a second call finds nothing to end.
async fn end_session(ctx: &Ctx, client: &Client, family: FamilyId) -> Result<()> {
    let project = ctx.project.id;
    ctx.app
        .db
        .unit(|conn| async move {
            if families::revoke(&conn, project, ctx.now, family, "revoked_by_client").await? == 0 {
                return Ok(());
            }
            let target = format!("token_family:{family}");
            let actor = Actor::client(client.id, &ctx.request_id);
            let event = actor.did("token_family.revoked", &target);
            audit::append(&conn, project, ctx.now, &event).await.map(|_| ())
        })
        .await
}
