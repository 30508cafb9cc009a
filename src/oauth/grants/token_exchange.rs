//! Token exchange (RFC 8693): a service swaps the user's token that it was called with for one to call on with. It says no
//! more than the first one, lives while the user's session and the service do, and no longer than the first one.

use std::sync::Arc;

use super::super::issue::{TokenSet, access_claims, epochs, issue_alone};
use super::refresh_token::grant;
use crate::app::{Ctx, Visit};
use crate::error::{Error, Result, invalid_request, invalid_scope, invalid_target};
use crate::identity::needed;
use crate::model::client::{ACCOUNT, Client};
use crate::model::proven::{Acr, Proven, has_two};
use crate::model::sign_in_policy::SecondFactor;
use crate::model::timestamp::Timestamp;
use crate::model::token::{AccessClaims, Act, Family, Link};
use crate::oauth::issue::Grant;
use crate::oauth::parameters::Parameters;
use crate::oauth::resources::{MOST, RESOURCE, is_open_to};
use crate::oauth::token::TokenRequest;
use crate::secret::Secret;
use crate::session::access_token::look_at;
use crate::session::alive::{Alive, asked, judge};
use crate::session::standing::{Asker, prove};

/// A chain of exchanges is no longer than this.
const MOST_LINKS: usize = 4;

/// RFC 8693, 3.
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// # Errors
/// `invalid_client`; `invalid_request` for a subject token that does not live, is no user's, or was not meant for the
/// client (RFC 8693, 2.2.2); `invalid_target` and `invalid_scope` for more than the client may have.
pub async fn answer(visit: &Visit, TokenRequest { credentials, mut form }: TokenRequest) -> Result<TokenSet> {
    check_types(&form)?;
    let (subject, actor) = (form.required_secret("subject_token")?, form.secret("actor_token"));
    let jkt = credentials.jkt().map(str::to_owned);
    let look = |ctx: &Ctx| Ok(asked(look_at(ctx, subject.expose())));
    let proven = prove(visit, &Asker::Client(credentials), look).await?;
    let (ctx, entry) = (&proven.ctx, proven.asking_client()?);
    let client = &entry.client;
    let alive =
        judge(ctx, proven.seen, proven.standing, None)?.map_err(|refusal| unacceptable(refusal.detail))?;
    check_subject(client, &alive)?;
    let actor = match actor {
        Some(token) => Some(acting(visit, client, &token, jkt.as_deref()).await?),
        None => None,
    };
    let Alive { claims: of_subject, family: Some(family) } = alive else {
        return Err(unacceptable("the token is a client's own, and of no user"));
    };
    check_factors(ctx, client, &family)?;
    let scope = narrowed(client, &of_subject.scope, form.get("scope"))?;
    let base = grant(&family, &scope, &family.mac_key_id, family.seq, family.idle_expires_at);
    let grant = Grant {
        audience: &audience(ctx, client, &form)?,
        cnf_jkt: jkt.as_deref(),
        expires_at: Timestamp::from_unix(
            actor.as_ref().map_or(of_subject.exp, |by| by.exp.min(of_subject.exp)),
        )
        .min(family.expires_at),
        ..base
    };
    let mut claims = access_claims(ctx, client, &grant)?;
    claims.epochs = epochs(ctx, client);
    claims.act = act(client, &of_subject, actor.as_deref());
    claims.via = via(&of_subject, actor.as_deref());
    let tokens = issue_alone(ctx, client, &claims)?;
    Ok(TokenSet { issued_token_type: Some(ACCESS_TOKEN), ..tokens })
}

/// RFC 8693, 2.1.
fn check_types(form: &Parameters) -> Result<()> {
    let is_access_token = |kind: &str| kind == ACCESS_TOKEN || kind == JWT;
    let of_actor = match (form.get("actor_token"), form.get("actor_token_type")) {
        (Some(_), _) => form.required("actor_token_type")?,
        (None, Some(_)) => {
            let bound = "actor_token_type comes with an actor_token";
            return Err(Error::invalid_field("actor_token_type", bound));
        }
        (None, None) => ACCESS_TOKEN,
    };
    for (name, kind) in [
        ("subject_token_type", form.required("subject_token_type")?),
        ("requested_token_type", form.get("requested_token_type").unwrap_or(ACCESS_TOKEN)),
        ("actor_token_type", of_actor),
    ] {
        if !is_access_token(kind) {
            let bound = format!("{name} is {ACCESS_TOKEN} or {JWT}");
            return Err(Error::invalid_field(name, bound));
        }
    }
    Ok(())
}

/// Who acts: a client that shows a token of its own name, which is the caller's or was meant for it.
async fn acting(
    visit: &Visit,
    client: &Client,
    token: &Secret,
    jkt: Option<&str>,
) -> Result<Arc<AccessClaims>> {
    let refused = |why: &'static str| {
        invalid_request(format!("the actor token is not acceptable: {why}")).with_field("actor_token")
    };
    let proven = prove(visit, &Asker::Bearer, |ctx| Ok(asked(look_at(ctx, token.expose())))).await?;
    let alive = judge(&proven.ctx, proven.seen, proven.standing, None)?;
    let Alive { claims, family } = alive.map_err(|refusal| refused(refusal.detail))?;
    if family.is_some() {
        return Err(refused("it is a user's, and no client's own"));
    }
    if claims.client_id != client.id.to_string() && !client.is_meant_by(&claims.aud) {
        return Err(refused("it is neither the client's nor meant for it"));
    }
    if claims.cnf.as_ref().is_some_and(|cnf| Some(cnf.jkt.as_str()) != jkt) {
        return Err(refused("it is bound to a key that did not prove itself"));
    }
    Ok(claims)
}

/// RFC 8693, 4.1: the actor of now outside, those before inside. Whoever passes on what it got in exchange has acted.
fn act(client: &Client, of_subject: &AccessClaims, actor: Option<&AccessClaims>) -> Option<Act> {
    let is_passed_on = of_subject.epochs.is_some();
    let former = || Act { sub: of_subject.client_id.clone(), act: None };
    let before = of_subject.act.clone().or_else(|| is_passed_on.then(former));
    let sub = match actor {
        Some(actor) => actor.sub.clone(),
        None if is_passed_on => client.id.to_string(),
        None => return None,
    };
    Some(Act { sub, act: before.map(Box::new) })
}

/// What the token is got with that has no session: when one of them ends, it ends.
fn via(of_subject: &AccessClaims, actor: Option<&AccessClaims>) -> Vec<Link> {
    let own = [Some(of_subject), actor].into_iter().flatten().filter_map(|claims| {
        let [_, epoch] = claims.epochs?;
        Some(Link { client_id: claims.client_id.parse().ok()?, epoch, jti: claims.jti.clone() })
    });
    of_subject.via.iter().cloned().chain(own).collect()
}

fn unacceptable(why: &'static str) -> Error {
    invalid_request(format!("the subject token is not acceptable: {why}")).with_field("subject_token")
}

/// A token is for whom it was sent to: the client's own, or one that it was called with. What it cannot prove (RFC 9449) is
/// not passed on, and what another exchange gave by clients alone that are registered to.
fn check_subject(client: &Client, Alive { claims, .. }: &Alive) -> Result<()> {
    let id = client.id.to_string();
    if claims.epochs.is_some() && (claims.session.is_none() || !client.settings.token_exchange_chain) {
        return Err(unacceptable("it is a client's own"));
    }
    if claims.via.len() >= MOST_LINKS {
        return Err(unacceptable("it was passed on too often"));
    }
    if claims.client_id != id && !client.is_meant_by(&claims.aud) {
        return Err(unacceptable("it is neither the client's nor meant for it"));
    }
    if claims.cnf.is_some() {
        return Err(unacceptable("it is bound to a key of somebody else"));
    }
    Ok(())
}

/// A client that asks for a second factor where the project does not gets no token of a sign-in without one, through another
/// client neither.
fn check_factors(ctx: &Ctx, client: &Client, family: &Family) -> Result<()> {
    let here = needed::policy_at(ctx, Some(client));
    if here.second_factor != SecondFactor::Required || family.client_id == client.id {
        return Ok(());
    }
    let asks_for_more = here.second_factor > needed::asked(ctx, None) || here.is_narrower;
    if asks_for_more && !has_two(&family.amr) {
        return Err(unacceptable("its sign-in had no second factor, and the client asks for one"));
    }
    // Where a code came from is not known of a token.
    let proven = Proven::parse(&family.amr, Acr::PhishingResistant.as_str(), "");
    if !here.refused.is_empty() && here.counted(proven).acr() < Acr::Two {
        return Err(unacceptable("its sign-in had no second factor that the client takes"));
    }
    Ok(())
}

/// What the token says and the client may have, or what it asks for of that. Acting on the account, and when nobody is
/// there, is not passed on.
fn narrowed(client: &Client, of_subject: &str, asked: Option<&str>) -> Result<String> {
    let may_pass =
        |scope: &&str| *scope != ACCOUNT && *scope != "offline_access" && client.may_ask_for(scope);
    let granted: Vec<&str> = of_subject.split_ascii_whitespace().filter(may_pass).collect();
    let Some(asked) = asked else { return Ok(granted.join(" ")) };
    let asked: Vec<&str> = asked.split_ascii_whitespace().collect();
    if !asked.iter().all(|scope| granted.contains(scope)) {
        return Err(invalid_scope("scope asks for more than the subject token and the client have"));
    }
    Ok(granted.into_iter().filter(|scope| asked.contains(scope)).collect::<Vec<_>>().join(" "))
}

/// What the client asks for, each by its registration (RFC 8693, 2.1; RFC 8707, 2); otherwise its own.
fn audience(ctx: &Ctx, client: &Client, form: &Parameters) -> Result<String> {
    let own = client.audience();
    let allowed = &client.settings.token_exchange_audiences;
    let mut audience = Vec::new();
    for asked in form.get("audience").into_iter().chain(form.all(RESOURCE)) {
        let may_have =
            asked == own || allowed.iter().any(|name| name == asked) || is_open_to(&ctx.entry, client, asked);
        if !may_have || audience.len() == MOST {
            return Err(invalid_target("the client may not ask for tokens for this audience"));
        }
        if !audience.contains(&asked) {
            audience.push(asked);
        }
    }
    Ok(if audience.is_empty() { own } else { audience.join(" ") })
}
