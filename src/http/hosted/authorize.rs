//! `oauth2/authorize`: a signed-in browser goes on with a code, any other one sees the form.

use axum::response::Response;

use super::form::Aim;
use super::page::Page;
use super::{redirect, sign_in};
use crate::error::{Code, Error, Result};
use crate::identity::sign_in::{NewCode, find_session, resume};
use crate::model::client::Client;
use crate::oauth::authorize::{AuthorizationRequest, Prompt, check, check_redirect_uri, find_client, parse};
use crate::oauth::parameters::Parameters;
use crate::secret::Secret;

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

/// Errors are shown on a page until client and redirect URI are proven, and redirected from then on (RFC 6749, 4.1.2.1).
pub async fn begin(page: &Page, parameters: &Parameters) -> Result<Response> {
    let client = find_client(&page.ctx, parameters).await?;
    let redirect_uri = check_redirect_uri(&client, parameters)?;
    // Which of two is meant, nobody knows.
    let state = parameters.get("state").filter(|_| !parameters.is_repeated("state"));
    match proven(page, &client, &redirect_uri, parameters).await {
        Ok(response) => Ok(response),
        Err(error) => redirect::to_client(&page.ctx, &redirect_uri, state, Err(&error)),
    }
}

async fn proven(
    page: &Page,
    client: &Client,
    redirect_uri: &str,
    parameters: &Parameters,
) -> Result<Response> {
    let request = check(client, redirect_uri, parameters)?;
    let cookie = page.cookie();
    if let Some(code) = resume_session(page, client, &request, cookie.as_ref()).await? {
        return redirect::to_client(&page.ctx, redirect_uri, request.state.as_deref(), Ok(&code));
    }
    if request.prompt == Prompt::Never {
        return Err(Error::new(Code::LoginRequired, "the person has to sign in"));
    }
    let username = request.login_hint.clone().unwrap_or_default();
    sign_in::show(page, client, &Aim::Code(request), cookie, &username)
}

/// A code without asking, for a browser whose sign-in is good enough for the request.
async fn resume_session(
    page: &Page,
    client: &Client,
    request: &AuthorizationRequest,
    cookie: Option<&Secret>,
) -> Result<Option<Secret>> {
    let Some(cookie) = cookie else { return Ok(None) };
    let Some(session) = find_session(&page.ctx, cookie).await? else { return Ok(None) };
    if !request.accepts(session.auth_time, page.ctx.now) {
        return Ok(None);
    }
    let code = NewCode::new(&page.ctx, client, request, &session)?;
    Ok(resume(&page.ctx, &code).await?.then_some(code.secret))
}
