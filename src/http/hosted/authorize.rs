//! `oauth2/authorize`: a signed-in browser goes on with a code, any other one sees the form.

use axum::response::Response;

use super::form::Aim;
use super::page::Page;
use super::{consent, factor, redirect, select_account, sign_in};
use crate::error::{Code, Error, Result};
use crate::identity::consent::{is_missing, missing};
use crate::identity::needed::{Demand, Needed, of_session};
use crate::identity::sign_in::{NewCode, find_session, resume};
use crate::model::client::Client;
use crate::oauth::authorize::{
    Arrived, AuthorizationRequest, WayBack, arrive, check, check_redirect_uri, find_client, parse, unmet,
};
use crate::oauth::is_meant;
use crate::oauth::parameters::Parameters;
use crate::secret::Secret;
use crate::store::browser_sessions::SignIn;
use crate::texts;

pub async fn get(page: Page) -> Response {
    page.answer(from_query(&page).await)
}

pub async fn head(page: Page) -> Response {
    sign_in::without_cookie(get(page.without_browser()).await)
}

pub async fn post(page: Page) -> Response {
    page.answer(from_form(&page).await)
}

async fn from_query(page: &Page) -> Result<Response> {
    begin(page, &parse(page.call.raw_query())?).await
}

/// OpenID Connect Core, 3.1.2.1: the same by POST.
async fn from_form(page: &Page) -> Result<Response> {
    let parameters = parse(page.form_text()?)?;
    // Another site's post comes without our cookie (SameSite): answered here, it would look like a browser that is not
    // signed in, and get a new cookie in the place of its session. Sent on as a GET it brings the cookie along.
    if page.is_from_elsewhere() {
        let location = format!("{}/oauth2/authorize?{}", page.ctx.project.issuer, parameters.to_query());
        return redirect::see_other(&location);
    }
    begin(page, &parameters).await
}

/// Errors are shown on a page until client and redirect URI are proven, and sent there from then on (RFC 6749, 4.1.2.1).
pub async fn begin(page: &Page, parameters: &Parameters) -> Result<Response> {
    let client = find_client(&page.ctx, parameters).await?;
    let arrived = arrive(&page.ctx, &client, parameters).await?;
    let parameters = arrived.parameters.as_ref().unwrap_or(parameters);
    let inside = arrived.parameters.as_ref();
    let speaking = inside.and_then(|inside| texts::of_locales(inside.get("ui_locales")?));
    let speaking = speaking.map(|texts| page.clone().speaking(texts));
    let page = speaking.as_ref().unwrap_or(page);
    let back = WayBack::new(check_redirect_uri(&client, parameters)?, parameters);
    redirect::or_to_client(&page.ctx, &back, proven(page, &client, &back, parameters, &arrived).await)
}

async fn proven(
    page: &Page,
    client: &Client,
    back: &WayBack,
    parameters: &Parameters,
    arrived: &Arrived,
) -> Result<Response> {
    let ctx = &page.ctx;
    arrived.check(client)?;
    let request = arrived.mark(check(ctx, client, back, parameters)?);
    let cookie = page.cookie();
    if let Some(cookie) = cookie.as_ref().filter(|_| !request.prompt.login)
        && let Some(session) = find_session(ctx, cookie).await?
    {
        let young = request.accepts_age(session.auth_time, ctx.now);
        return match request.prompt.select_account && is_meant(ctx, client, &request, session.user_id)? {
            true if young => select_account::show(page, client, request, &session, cookie.clone()).await,
            true => ask(page, client, request, Some(cookie.clone())),
            false => with_session(page, client, request, &session, cookie.clone()).await,
        };
    }
    ask(page, client, request, cookie)
}

/// Goes on with the browser's session, as far as it is worth what is asked for.
pub async fn with_session(
    page: &Page,
    client: &Client,
    request: AuthorizationRequest,
    session: &SignIn,
    cookie: Secret,
) -> Result<Response> {
    let ctx = &page.ctx;
    if !is_meant(ctx, client, &request, session.user_id)? {
        return ask(page, client, request, Some(cookie));
    }
    if !request.accepts_age(session.auth_time, ctx.now) {
        if request.prompt.none {
            return Err(login_required());
        }
        let aim = Aim::Code(Box::new(request));
        return sign_in::ask_again(page, Some(client), aim, session.user_id, cookie).await;
    }
    match missing_of(page, client, &request, session).await? {
        Needed::Nothing => go_on(page, client, request, session, cookie).await,
        Needed::Unmet => Err(unmet()),
        _ if request.prompt.none => {
            Err(Error::new(Code::InteractionRequired, "the person has to show a second factor"))
        }
        more => {
            let aim = Aim::Code(Box::new(request));
            factor::step_up(page, Some(client), aim, (session, cookie), &more).await
        }
    }
}

/// What the session lacks. What the application would like is not asked for where nothing may be shown.
async fn missing_of(
    page: &Page,
    client: &Client,
    request: &AuthorizationRequest,
    session: &SignIn,
) -> Result<Needed> {
    let mut demand = Demand::of(request);
    if request.prompt.none {
        demand.wished = demand.least;
    }
    of_session(&page.ctx, Some(client), demand, session, page.device().as_ref()).await
}

/// Whether the session is the right person's and worth what is asked for, whenever it was that they signed in.
pub async fn is_right(
    page: &Page,
    client: &Client,
    request: &AuthorizationRequest,
    session: &SignIn,
) -> Result<bool> {
    Ok(is_meant(&page.ctx, client, request, session.user_id)?
        && missing_of(page, client, request, session).await? == Needed::Nothing)
}

/// A code for a browser whose sign-in is good enough for the request; for an application of others once it is allowed.
async fn go_on(
    page: &Page,
    client: &Client,
    request: AuthorizationRequest,
    session: &SignIn,
    cookie: Secret,
) -> Result<Response> {
    let ctx = &page.ctx;
    if is_missing(ctx, client, &request, session.user_id).await? {
        return match request.prompt.none {
            true => Err(missing()),
            false => consent::show(ctx, client, request, session, false, cookie).await,
        };
    }
    let code = NewCode::new(&page.ctx, client, &request, session)?;
    if resume(&page.ctx, &code).await? {
        return redirect::to_client(&page.ctx, &request.back, Ok(&code.secret));
    }
    // Signed out in between.
    ask(page, client, request, Some(cookie))
}

fn ask(
    page: &Page,
    client: &Client,
    request: AuthorizationRequest,
    cookie: Option<Secret>,
) -> Result<Response> {
    if request.prompt.none {
        return Err(login_required());
    }
    let username = request.login_hint.clone().unwrap_or_default();
    sign_in::show(page, Some(client), Aim::Code(Box::new(request)), cookie, &username)
}

fn login_required() -> Error {
    Error::new(Code::LoginRequired, "the person has to sign in")
}
