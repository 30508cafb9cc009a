//! From a proof to the next one, or to the end of the sign-in.

use axum::http::header;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::super::form::Aim;
use super::super::frame::in_language;
use super::super::page::Page;
use super::super::{consent, cookie, device, redirect, sign_in};
use super::next_page;
use crate::app::Ctx;
use crate::error::{Code, Error, Result};
use crate::identity::consent::is_missing;
use crate::identity::devices::NewDevice;
use crate::identity::known::KnownBrowser;
use crate::identity::needed::{Demand, Needed, needed, policy_at};
use crate::identity::progress::{self, Progress, Purpose};
use crate::identity::sign_in::{Beginning, NewCode, Outcome, begin};
use crate::identity::spend::Spend;
use crate::model::client::Client;
use crate::model::proven::Acr;
use crate::model::proven::Proven;
use crate::oauth::authorize::{active_client, unknown_client, unmet};
use crate::oauth::is_meant;
use crate::secret::Secret;
use crate::store::browser_sessions::SignIn;

/// What a sign-in in progress is for, as it is kept.
#[derive(Clone, Serialize, Deserialize)]
pub struct Carried {
    pub aim: Aim,
    /// The client's epoch from before the first proof: what ended since would live otherwise.
    pub client_epoch: Option<i64>,
}

impl Carried {
    pub fn of(aim: Aim, client: Option<&Client>) -> Self {
        Self { aim, client_epoch: client.map(|client| client.token_epoch) }
    }

    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(Error::internal)
    }
}

/// What the request asks for.
pub fn demand_of(aim: &Aim) -> Demand {
    match aim {
        Aim::Code(request) => Demand::of(request),
        // As good as the person's best: a remembered device shows nothing.
        Aim::Account(place) if place.is_sensitive() => Demand { wished: Acr::Two, ..Demand::NONE },
        Aim::BrowserSession(_) | Aim::Device(_) | Aim::Account(_) => Demand::NONE,
    }
}

/// A proof that was right.
pub struct Step<'a> {
    /// With all that is proven by now.
    pub sign_in: SignIn,
    /// What the browser has had until now.
    pub cookie: &'a Secret,
    /// What was in progress, and what the last proof uses up; `None` after the first proof.
    pub last: Option<(&'a Progress, &'a Spend)>,
    /// The person would like the browser to be remembered.
    pub remember: bool,
}

impl Step<'_> {
    fn proven(&self) -> Proven {
        Proven::parse(&self.sign_in.amr, &self.sign_in.acr, &self.sign_in.codes)
    }

    /// Whether a browser that is signed in proves more.
    fn is_step_up(&self) -> bool {
        self.last.is_some_and(|(progress, _)| progress.is_step_up())
    }
}

/// Where it leads.
pub enum Gone {
    On(Response),
    /// The person was signed out in between.
    Overtaken,
    /// The proof was used before.
    Replayed,
}

/// The client is read again, because its address may have been taken away meanwhile; but its epoch is the one from before
/// the first proof, or what ended since would live.
pub async fn go_on(page: &Page, carried: &Carried, step: &Step<'_>) -> Result<Gone> {
    let ctx = &page.ctx;
    let client = match carried.aim.client_id() {
        Some(id) => {
            let client = active_client(ctx, id).await?;
            let token_epoch = carried.client_epoch.unwrap_or(client.token_epoch);
            Some(Client { token_epoch, ..client })
        }
        None => None,
    };
    let (Aim::Code(request), Some(client)) = (&carried.aim, &client) else {
        return next(page, carried, client.as_ref(), step).await;
    };
    if !client.allows_redirect(&request.back.redirect_uri) {
        return Err(sign_in::unregistered());
    }
    match next(page, carried, Some(client), step).await {
        Err(error) => redirect::to_client(ctx, &request.back, Err(&error)).map(Gone::On),
        done => done,
    }
}

async fn next(page: &Page, carried: &Carried, client: Option<&Client>, step: &Step<'_>) -> Result<Gone> {
    let ctx = &page.ctx;
    let (who, device) = ((step.sign_in.user_id, step.proven()), page.device().filter(|_| !step.is_step_up()));
    match needed(ctx, client, demand_of(&carried.aim), who, device.as_ref()).await? {
        Needed::Nothing => enter(page, &carried.aim, client, step).await,
        Needed::Unmet => Err(unmet()),
        more => ask_for_more(ctx, carried, &more, step).await,
    }
}

/// From here on the state is in the store, under a new cookie.
async fn ask_for_more(ctx: &Ctx, carried: &Carried, more: &Needed, step: &Step<'_>) -> Result<Gone> {
    let cookie = match step.last {
        Some((progress, spend)) => match progress::advance(ctx, progress, step.proven(), spend).await? {
            Some(cookie) => cookie,
            None => return Ok(Gone::Replayed),
        },
        None => {
            let (cookie, replaces) = (ctx.app.entropy.token("")?, step.cookie.sha256());
            let aim = carried.to_json()?;
            progress::begin(ctx, &cookie, &step.sign_in, Purpose::SignIn, &aim, replaces).await?;
            cookie
        }
    };
    let mut response = redirect::see_other(&in_language(ctx, &next_page(ctx, more)))?;
    response.headers_mut().insert(header::SET_COOKIE, cookie::set(ctx, &cookie)?);
    Ok(Gone::On(response))
}

/// The browser session under a new cookie, and the way on. The request is judged again, by who has signed in.
async fn enter(page: &Page, aim: &Aim, client: Option<&Client>, step: &Step<'_>) -> Result<Gone> {
    let (ctx, sign_in) = (&page.ctx, &step.sign_in);
    let code = match (aim, client) {
        (Aim::Code(request), Some(client)) => {
            if !is_meant(ctx, client, request, sign_in.user_id)? {
                let why = "somebody else signed in than the one asked for";
                return Err(Error::new(Code::LoginRequired, why));
            }
            match is_missing(ctx, client, request, sign_in.user_id).await? {
                true => None,
                false => Some(NewCode::new(ctx, client, request, sign_in)?),
            }
        }
        _ => None,
    };
    let device = match step.remember && !step.is_step_up() {
        true => NewDevice::of(ctx, policy_at(ctx, client).remember_device_days, sign_in, page.device())?,
        false => None,
    };
    let known_by = KnownBrowser::after(ctx, page.known_by())?;
    let cookie = ctx.app.entropy.token("")?;
    let replaced =
        step.last.map_or_else(|| step.cookie.sha256(), |(progress, _)| progress.replaces().to_vec());
    let beginning = Beginning {
        sign_in,
        cookie: &cookie,
        replaced,
        code: code.as_ref(),
        last: step.last,
        device: device.as_ref(),
        known_by: &known_by,
    };
    match begin(ctx, &beginning).await? {
        Outcome::Begun => {}
        Outcome::Overtaken => return Ok(Gone::Overtaken),
        Outcome::Replayed => return Ok(Gone::Replayed),
    }
    let mut response = way_on(ctx, aim, client, sign_in, (&cookie, code.as_ref())).await?;
    response.headers_mut().insert(header::SET_COOKIE, cookie::set(ctx, &cookie)?);
    if let Some(device) = &device {
        response.headers_mut().append(header::SET_COOKIE, cookie::set_device(ctx, device)?);
    }
    response.headers_mut().append(header::SET_COOKIE, cookie::set_known(ctx, &known_by.cookie)?);
    Ok(Gone::On(response))
}

async fn way_on(
    ctx: &Ctx,
    aim: &Aim,
    client: Option<&Client>,
    sign_in: &SignIn,
    (cookie, code): (&Secret, Option<&NewCode>),
) -> Result<Response> {
    match (aim, client, code) {
        (Aim::Code(request), _, Some(code)) => redirect::to_client(ctx, &request.back, Ok(&code.secret)),
        (Aim::Code(request), Some(client), None) => {
            consent::show(ctx, client, request.as_ref().clone(), sign_in, true, cookie.clone()).await
        }
        (Aim::Device(named), ..) => redirect::see_other(&device::confirm_link(ctx, named, cookie)?),
        // By GET, so that reloading the page posts nothing.
        (Aim::BrowserSession(client), ..) => {
            let link = format!("{}/sign-in?client_id={client}", ctx.project.issuer);
            redirect::see_other(&in_language(ctx, &link))
        }
        (Aim::Account(account), ..) => {
            redirect::see_other(&in_language(ctx, &format!("{}{}", ctx.project.issuer, account.path())))
        }
        // A code is for a client, and it was there.
        (Aim::Code(_), None, None) => Err(unknown_client()),
    }
}
