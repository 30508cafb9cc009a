//! `oauth2/logout`: an application asks that its person be signed out (OpenID Connect RP-Initiated Logout 1.0).
//!
//! With an ID token of this very browser session it is done at once. Anybody can make a browser come here without one, so
//! then the person is asked; and nobody is sent on unasked to where the request wants. An ID token is no secret either: from
//! another browser it ends nothing while the browser session that it is of is there.

use askama::Template;
use axum::http::header;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::form::{self, Content, Received};
use super::frame::Frame;
use super::page::Page;
use super::{carried, cookie, pages, policy, redirect};
use crate::app::Ctx;
use crate::error::Result;
use crate::identity::sign_out::{end_family, end_session, find_leaving, has_browser_session};
use crate::oauth::authorize::parse;
use crate::oauth::logout::{Hint, LogoutRequest, check};
use crate::oauth::parameters::Parameters;
use crate::secret::Secret;
use crate::store::browser_sessions::SignIn;
use crate::texts::Texts;

/// Asks whether to sign out.
#[derive(Template)]
#[template(path = "logout.html")]
struct LogoutPage<'a> {
    t: &'static Texts,
    frame: Frame<'a>,
    client_name: Option<&'a str>,
    action: &'a str,
    request: &'a str,
}

/// Says that nobody is signed in any more, and may show the way back.
#[derive(Template)]
#[template(path = "signed_out.html")]
struct SignedOutPage<'a> {
    t: &'static Texts,
    frame: Frame<'a>,
    client_name: &'a str,
    return_to: Option<&'a str>,
}

/// Where a logout leads, carried by the form that asks.
#[derive(Serialize, Deserialize)]
struct Goodbye {
    client_name: Option<String>,
    /// A registered address, with the state.
    return_to: Option<String>,
    /// Whose application's session ends with the answer, if there is no browser session to end.
    hint: Option<Hint>,
}

impl Content for Goodbye {
    const KIND: &'static str = "logout";

    fn link(&self, ctx: &Ctx) -> String {
        format!("/projects/{}/oauth2/logout", ctx.project.slug)
    }
}

impl Goodbye {
    fn of(request: &LogoutRequest) -> Self {
        let state = request.state.as_deref().map(|state| ("state", state));
        let with_state = |uri: &String| match state {
            Some(state) => redirect::with_query(uri, &[state]),
            None => uri.clone(),
        };
        Self {
            client_name: request.client.as_ref().map(|client| client.name.clone()),
            return_to: request.return_to.as_ref().map(with_state),
            hint: None,
        }
    }

    /// The last word: on to the application, or a page.
    fn say(&self, page: &Page) -> Result<Response> {
        let mut response = match &self.return_to {
            Some(uri) => redirect::see_other(uri)?,
            None => self.signed_out(&page.ctx)?,
        };
        if page.cookie().is_some() {
            response.headers_mut().append(header::SET_COOKIE, cookie::remove(&page.ctx)?);
        }
        Ok(response)
    }

    fn signed_out(&self, ctx: &Ctx) -> Result<Response> {
        let shown = SignedOutPage {
            t: ctx.texts,
            frame: Frame::of(ctx),
            client_name: self.client_name.as_deref().unwrap_or_default(),
            return_to: self.return_to.as_deref(),
        };
        pages::html(200, &shown, &[])
    }

    fn ask(&self, page: &Page, cookie: &Secret) -> Result<Response> {
        let ctx = &page.ctx;
        let shown = LogoutPage {
            t: ctx.texts,
            frame: Frame::of(ctx),
            client_name: self.client_name.as_deref(),
            action: &format!("/projects/{}/sign-out", ctx.project.slug),
            request: &form::seal(ctx, self, cookie)?,
        };
        // Browsers hold the redirect that follows the form to the policy as well.
        let targets: Vec<String> = self.return_to.iter().filter_map(|uri| policy::origin_of(uri)).collect();
        pages::html(200, &shown, &targets)
    }
}

pub async fn get(page: Page) -> Response {
    page.answer(from_query(&page).await)
}

/// Asking signs nobody out.
pub async fn head(page: Page) -> Response {
    page.answer(Goodbye { client_name: None, return_to: None, hint: None }.signed_out(&page.ctx))
}

pub async fn post(page: Page) -> Response {
    page.answer(from_form(&page).await)
}

/// The answer of the person.
pub async fn submit(page: Page) -> Response {
    page.answer(leave(&page).await)
}

/// The last word for whoever has ended their own session at another page.
pub(super) fn farewell(page: &Page) -> Result<Response> {
    Goodbye { client_name: None, return_to: None, hint: None }.say(page)
}

async fn from_query(page: &Page) -> Result<Response> {
    begin(page, &carried::read(&page.ctx, page.call.raw_query())?).await
}

/// 2: the same by POST. Another site's post comes without our cookie (SameSite); sent on as a GET it brings it along.
async fn from_form(page: &Page) -> Result<Response> {
    let text = page.form_text()?;
    let parameters = parse(text)?;
    if page.is_from_elsewhere() {
        return redirect::see_other(&carried::link(&page.ctx, text)?);
    }
    begin(page, &parameters).await
}

async fn begin(page: &Page, parameters: &Parameters) -> Result<Response> {
    let ctx = &page.ctx;
    let request = check(ctx, parameters).await?;
    let goodbye = Goodbye::of(&request);
    let cookie = page.cookie();
    let session = match &cookie {
        Some(cookie) => find_leaving(ctx, cookie).await?,
        None => None,
    };
    match (session, &request.hint, &cookie) {
        (Some(session), Some(hint), _) if is_of(ctx, hint, &session).await? => {
            end_session(ctx, &session).await?;
            goodbye.say(page)
        }
        (Some(_), _, Some(cookie)) => goodbye.ask(page, cookie),
        (_, Some(hint), _) => without_session(page, goodbye, *hint).await,
        _ => goodbye.signed_out(ctx),
    }
}

/// Nobody is signed in here; the application's own session may have outlasted the browser's hour, or be of a device.
async fn without_session(page: &Page, goodbye: Goodbye, hint: Hint) -> Result<Response> {
    let ctx = &page.ctx;
    let family = hint.find_family(ctx).await?.filter(|family| family.ended(ctx.now).is_none());
    let Some(family) = family else { return goodbye.say(page) };
    if family.browser_session_id.is_none() {
        let asking = Goodbye { hint: Some(hint), ..goodbye };
        return cookie::bind(ctx, page.cookie(), |cookie| asking.ask(page, cookie));
    }
    // It is another browser's: whoever is here holds an ID token of it, and no more.
    if has_browser_session(ctx, &family).await? {
        return goodbye.signed_out(ctx);
    }
    end_family(ctx, &family).await?;
    goodbye.say(page)
}

/// Whether the ID token is of this browser session.
async fn is_of(ctx: &Ctx, hint: &Hint, session: &SignIn) -> Result<bool> {
    let family = hint.find_family(ctx).await?;
    Ok(family.is_some_and(|family| family.browser_session_id == Some(session.id)))
}

async fn leave(page: &Page) -> Result<Response> {
    let ctx = &page.ctx;
    let posted = match form::receive::<Goodbye>(page)? {
        Received::Valid(posted) => posted,
        Received::Stale(goodbye) => return pages::stale(ctx, &goodbye.link(ctx)),
    };
    match (find_leaving(ctx, &posted.cookie).await?, posted.content.hint) {
        (Some(session), _) => end_session(ctx, &session).await?,
        (None, Some(hint)) => {
            if let Some(family) = hint.find_family(ctx).await? {
                end_family(ctx, &family).await?;
            }
        }
        (None, None) => {}
    }
    posted.content.say(page)
}
