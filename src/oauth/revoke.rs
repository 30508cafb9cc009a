//! Token revocation (RFC 7009). What belongs to a session ends the session; what a client got in its own name ends alone.

use super::client_auth::Presented;
use super::introspect::{Token, recognized};
use super::parameters::Parameters;
use crate::app::{Ctx, Visit};
use crate::audit::{self, Actor};
use crate::error::{Error, Result, invalid_dpop_proof, unauthorized_client};
use crate::ids::{FamilyId, UserId};
use crate::model::client::Client;
use crate::model::timestamp::Timestamp;
use crate::model::token::{AccessClaims, Family};
use crate::session::standing::{Asker, prove};
use crate::store::{families, logout_tokens, revoked_tokens};

/// # Errors
/// `invalid_client`; `invalid_request` without a token; `unauthorized_client` for another client's token (RFC 7009, 2.1).
/// `invalid_dpop_proof` for a public client's token whose key did not prove itself. Tokens that are unknown, expired or ended
/// are no error.
pub async fn end(visit: &Visit, credentials: Presented, mut form: Parameters) -> Result<()> {
    let token = form.required_secret("token")?;
    let jkt = credentials.jkt().map(str::to_owned);
    let look = |ctx: &Ctx| Ok(recognized(ctx, token.expose()));
    let proven = prove(visit, &Asker::Client(credentials), look).await?;
    let (ctx, entry) = (&proven.ctx, proven.asking_client()?);
    let client = &entry.client;
    let family = proven.standing.family;
    match proven.seen {
        Token::Refresh(_) => match family {
            Some(family) if family.client_id == client.id => {
                check_key(client, family.cnf_jkt.as_deref(), jkt.as_deref())?;
                end_session(ctx, client, family.id, Some(family.user_id)).await
            }
            Some(_) => Err(of_another()),
            None => Ok(()),
        },
        Token::Access(Ok(claims)) if claims.client_id != client.id.to_string() => Err(of_another()),
        Token::Access(Ok(claims)) => {
            check_key(client, bound_to(&claims, family.as_ref()), jkt.as_deref())?;
            end_access_token(ctx, client, &claims, family.map(|family| family.user_id)).await
        }
        Token::Access(Err(_)) => Ok(()),
    }
}

/// A public client proves nothing by its name: what is bound to a key is ended by whoever holds the key. An error, and no
/// 200 without effect: an application that sends no proof learns that its user is still signed in.
fn check_key(client: &Client, bound_to: Option<&str>, jkt: Option<&str>) -> Result<()> {
    match bound_to.filter(|_| client.is_public()) {
        Some(bound) if jkt != Some(bound) => {
            Err(invalid_dpop_proof("the token is bound to a key that did not prove itself"))
        }
        _ => Ok(()),
    }
}

fn bound_to<'a>(claims: &'a AccessClaims, family: Option<&'a Family>) -> Option<&'a str> {
    let of_token = claims.cnf.as_ref().map(|cnf| cnf.jkt.as_str());
    of_token.or_else(|| family.and_then(|family| family.cnf_jkt.as_deref()))
}

fn of_another() -> Error {
    unauthorized_client("the token is another client's")
}

async fn end_access_token(
    ctx: &Ctx,
    client: &Client,
    claims: &AccessClaims,
    user: Option<UserId>,
) -> Result<()> {
    if claims.epochs.is_some() {
        let (project, ends) = (ctx.project.id, Timestamp::from_unix(claims.exp));
        let insert = |conn| async move { revoked_tokens::insert(&conn, project, &claims.jti, ends).await };
        return ctx.app.db.write(insert).await.map(|_| ());
    }
    let family = claims.session.as_ref().and_then(|session| session.sid.parse().ok());
    let family = family.ok_or_else(|| Error::internal("a token belongs to nothing"))?;
    end_session(ctx, client, family, user).await
}

/// The trace stands beside the end; a second call finds nothing to end.
async fn end_session(ctx: &Ctx, client: &Client, family: FamilyId, user: Option<UserId>) -> Result<()> {
    let project = ctx.project.id;
    ctx.app
        .db
        .unit(|conn| async move {
            if families::revoke(&conn, project, ctx.now, family, "revoked_by_client").await? == 0 {
                return Ok(());
            }
            // The application may be more than the one part of it that called.
            logout_tokens::owe_for_family(&conn, project, ctx.now, family).await?;
            let target = format!("token_family:{family}");
            let actor = Actor::client(ctx, client.id, user);
            let event = actor.did("token_family.revoked", &target);
            audit::append(&conn, project, ctx.now, &event).await.map(|_| ())
        })
        .await
}
