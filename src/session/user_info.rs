//! `userinfofromaccesstoken`, and `oauth2/userinfo`: the user's claims as they are now, limited by what was granted
//! (OpenID Connect Core, 5.3).

use serde_json::{Map, Value, json};

use super::access_token::{Carried, refusal};
use super::for_servers::is_for_servers_alone;
use super::person::{Person, Shown, parsed, still_granted};
use super::verify::{Live, dead, require_live};
use crate::app::{Ctx, Visit};
use crate::error::Result;
use crate::model::claims_request::ClaimsRequest;

/// What a client is told, and the nonce for its next proof.
pub struct Told<T> {
    pub answer: T,
    pub next_nonce: Option<String>,
}

/// As the client registered to be told (OpenID Connect Core, 5.3.2).
pub enum UserInfo {
    Plain(Map<String, Value>),
    Signed(String),
}

/// The claims of the granted scopes, and those that were asked for one by one.
///
/// # Errors
/// `invalid_token` naming the reason.
pub async fn user_info(visit: &Visit, token: &Carried) -> Result<Told<UserInfo>> {
    let (ctx, live) = require_for_us(visit, token).await?;
    let (mut claims, entry) = (shown(&ctx, &live)?, live.client(&ctx).await?);
    let answer = match entry.client.settings.userinfo_signed_response_alg {
        None => UserInfo::Plain(claims),
        Some(alg) => {
            claims.insert("iss".into(), json!(ctx.project.issuer));
            claims.insert("aud".into(), json!(entry.client.id));
            UserInfo::Signed(ctx.signer(alg)?.sign("JWT", &claims)?)
        }
    };
    Ok(Told { answer, next_nonce: live.next_nonce })
}

/// The same for the session API, where `profile` shows a project's own applications what else it knows: roles, groups and
/// attributes.
///
/// # Errors
/// `invalid_token` naming the reason.
pub async fn own_user_info(visit: &Visit, token: &Carried) -> Result<Told<Map<String, Value>>> {
    let (ctx, live) = require_for_us(visit, token).await?;
    let mut answer = shown(&ctx, &live)?;
    let family = &live.family;
    // Now, and with the application itself: what it passes on to others is no more than the scopes show.
    let is_own = family.allowed_as_of().is_none() && live.claims.epochs.is_none();
    if is_own && live.claims.scope.split(' ').any(|granted| granted == "profile") {
        for (name, text) in
            [("roles", &family.roles), ("groups", &family.groups), ("attributes", &family.attributes)]
        {
            answer.insert(name.into(), parsed(text)?);
        }
    }
    Ok(Told { answer, next_nonce: live.next_nonce })
}

/// An API that was handed a token learns of the person what the token says, and nothing from us.
async fn require_for_us(visit: &Visit, token: &Carried) -> Result<(Ctx, Live)> {
    let (ctx, live) = require_live(visit, token).await?;
    match is_for_servers_alone(&ctx, &live).await? {
        true => Err(dead(refusal("wrong_audience", "the token is for resource servers, not for userinfo"))),
        false => Ok((ctx, live)),
    }
}

fn shown(ctx: &Ctx, Live { claims, family, .. }: &Live) -> Result<Map<String, Value>> {
    // What the application asked for one by one is not for whoever it was passed on to.
    let own = family.claims.as_deref().filter(|_| claims.epochs.is_none());
    let asked = ClaimsRequest::of_column(own)?;
    let scope = still_granted(&ctx.entry, &claims.scope, family.allowed_as_of());
    let shown = Shown::by_scope(&ctx.entry, &scope).and(&asked.userinfo);
    let mut answer = shown.of(&Person::from(family))?;
    answer.insert("sub".into(), json!(claims.sub));
    Ok(answer)
}
