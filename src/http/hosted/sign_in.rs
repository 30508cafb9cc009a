//! `sign-in`: the login link that starts one, the form, and what is posted from it.

use axum::http::{HeaderValue, header};
use axum::response::Response;

use super::forgotten::beside;
use super::form::{self, Aim, Content, Received};
use super::frame::{Frame, in_language};
use super::page::Page;
use super::pages::{self, SignInPage, SignedInPage};
use super::{authorize, consent, cookie, device, policy, redirect};
use crate::app::Ctx;
use crate::error::{Code, Error, Result, refused};
use crate::identity::consent::is_missing;
use crate::identity::sign_in::{NewCode, begin, find_session, prove_password};
use crate::identity::sign_up::is_open;
use crate::model::client::Client;
use crate::oauth::authorize::{active_client, check_prompt, find_client, parse, unmet};
use crate::oauth::is_meant;
use crate::oauth::parameters::Parameters;
use crate::secret::Secret;
use crate::store::browser_sessions::SignIn;
use crate::texts::Text;

/// A user name has at most so many characters; what is longer is not shown again.
const MOST_SHOWN: usize = 128;

/// The login link.
pub async fn start(page: Page) -> Response {
    page.answer(from_link(&page).await)
}

pub async fn head(page: Page) -> Response {
    without_cookie(start(page.without_browser()).await)
}

pub fn without_cookie(mut response: Response) -> Response {
    response.headers_mut().remove(header::SET_COOKIE);
    response
}

/// A link cannot carry a PKCE challenge, which is new each time. So it leads to the application's own start if there is
/// one (OpenID Connect Core, 4); to an authorization request if the client may make one without PKCE, or the link was
/// given a challenge; and else signs the browser in, so that the application's own request needs no form.
async fn from_link(page: &Page) -> Result<Response> {
    let parameters = parse(page.call.raw_query())?;
    let client = find_client(&page.ctx, &parameters).await?;
    if let Some(uri) = &client.settings.initiate_login_uri {
        let mut pairs = vec![("iss", page.ctx.project.issuer.as_str())];
        pairs.extend(parameters.get("login_hint").map(|hint| ("login_hint", hint)));
        return redirect::see_other(&redirect::with_query(uri, &pairs));
    }
    let without_pkce = client.requires_pkce() && parameters.get("code_challenge").is_none();
    if without_pkce || client.settings.require_pushed_authorization_requests {
        return browser_session(page, &client, &parameters).await;
    }
    let default = client.settings.redirect_uris.first().map_or("", String::as_str);
    let request = parameters
        .or("response_type", "code")
        .or("redirect_uri", default)
        .or("scope", "openid profile email");
    authorize::begin(page, &request).await
}

async fn browser_session(page: &Page, client: &Client, parameters: &Parameters) -> Result<Response> {
    let cookie = page.cookie();
    let asks = check_prompt(parameters).is_ok_and(|prompt| prompt.login || prompt.select_account);
    if let Some(cookie) = cookie.as_ref().filter(|_| !asks)
        && find_session(&page.ctx, cookie).await?.is_some()
    {
        return signed_in(&page.ctx, client);
    }
    let hint = parameters.get("login_hint").unwrap_or_default();
    show(page, client, &Aim::BrowserSession(client.id), cookie, hint)
}

/// Shows the form, bound to the browser's cookie; a browser without one gets one that proves nothing yet.
pub fn show(
    page: &Page,
    client: &Client,
    aim: &Aim,
    cookie: Option<Secret>,
    username: &str,
) -> Result<Response> {
    render(&page.ctx, client, aim, cookie, username, 200, None)
}

fn render(
    ctx: &Ctx,
    client: &Client,
    aim: &Aim,
    cookie: Option<Secret>,
    username: &str,
    status: u16,
    error: Option<&Text>,
) -> Result<Response> {
    cookie::bind(ctx, cookie, |cookie| {
        let request = form::seal(ctx, aim, cookie)?;
        let sign_up = is_open(ctx).then(|| beside(ctx, "sign-up", &request, client.id));
        let page = SignInPage {
            t: ctx.texts,
            frame: Frame::of(ctx),
            client_name: &client.name,
            action: &format!("/projects/{}/sign-in", ctx.project.slug),
            request: &request,
            forgotten: &beside(ctx, "forgotten-password", &request, client.id),
            sign_up: sign_up.as_deref(),
            username: if username.chars().count() > MOST_SHOWN { "" } else { username },
            error: error.map(Text::as_str),
            host: ctx.app.base_url.split_once("://").map_or("", |(_, host)| host),
        };
        pages::html(status, &page, &policy::form_targets(client))
    })
}

/// The posted form.
pub async fn submit(page: Page) -> Response {
    page.answer(judge(&page).await)
}

async fn judge(page: &Page) -> Result<Response> {
    let ctx = &page.ctx;
    let posted = match form::receive::<Aim>(page)? {
        Received::Valid(posted) => posted,
        Received::Stale(aim) => return pages::stale(ctx, &aim.link(ctx)),
    };
    let (aim, mut fields, cookie) = (posted.content, posted.fields, posted.cookie);
    let client = active_client(ctx, aim.client_id()).await?;
    let (username, password) = (fields.take("username"), Secret::new(fields.take("password")));
    let t = &ctx.texts.sign_in;
    let again =
        |status, text| render(ctx, &client, &aim, Some(cookie.clone()), &username, status, Some(text));
    match prove_password(ctx, &username, password, page.browser()).await {
        Ok(Some(sign_in)) => match finish(ctx, &client, &aim, &sign_in, &cookie).await? {
            Some(response) => Ok(response),
            None => again(400, &t.wrong),
        },
        Ok(None) => again(400, &t.wrong),
        Err(error) if error.code() == Code::TemporarilyUnavailable => {
            super::log_cause(&error);
            let mut response = again(error.code().status(), &t.busy)?;
            let seconds = HeaderValue::from(error.retry_after().unwrap_or(1));
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
            Ok(response)
        }
        Err(error) => Err(error),
    }
}

/// The browser session under a new cookie, and the way on. `None`: the proof was overtaken by a sign-out or a reset.
///
/// The client is read again, because its address may have been taken away while the password waited in the queue; but its
/// epoch is the one from before the proof, or what ended meanwhile would live.
async fn finish(
    ctx: &Ctx,
    client: &Client,
    aim: &Aim,
    sign_in: &SignIn,
    replaced: &Secret,
) -> Result<Option<Response>> {
    let token_epoch = client.token_epoch;
    let client = Client { token_epoch, ..active_client(ctx, client.id).await? };
    let Aim::Code(request) = aim else { return enter(ctx, &client, aim, sign_in, replaced).await };
    if !client.allows_redirect(&request.back.redirect_uri) {
        return Err(unregistered());
    }
    match enter(ctx, &client, aim, sign_in, replaced).await {
        Err(error) => redirect::to_client(ctx, &request.back, Err(&error)).map(Some),
        done => done,
    }
}

/// The request is judged again, by who has signed in.
async fn enter(
    ctx: &Ctx,
    client: &Client,
    aim: &Aim,
    sign_in: &SignIn,
    replaced: &Secret,
) -> Result<Option<Response>> {
    let code = match aim {
        Aim::Code(request) => {
            if !is_meant(ctx, client, request, sign_in.user_id)? {
                let why = "somebody else signed in than the one asked for";
                return Err(Error::new(Code::LoginRequired, why));
            }
            if !request.accepts_acr(&sign_in.acr) {
                return Err(unmet());
            }
            match is_missing(ctx, client, request, sign_in.user_id).await? {
                true => None,
                false => Some(NewCode::new(ctx, client, request, sign_in)?),
            }
        }
        Aim::BrowserSession(_) | Aim::Device(_) => None,
    };
    let cookie = ctx.app.entropy.token("")?;
    if !begin(ctx, sign_in, &cookie, Some(replaced), code.as_ref()).await? {
        return Ok(None);
    }
    let mut response = match (aim, &code) {
        (Aim::Code(request), Some(code)) => redirect::to_client(ctx, &request.back, Ok(&code.secret))?,
        (Aim::Code(request), None) => {
            consent::show(ctx, client, request.as_ref().clone(), sign_in, true, cookie.clone()).await?
        }
        (Aim::Device(named), _) => redirect::see_other(&device::confirm_link(ctx, named, &cookie)?)?,
        // By GET, so that reloading the page posts nothing.
        _ => {
            let link = format!("{}/sign-in?client_id={}", ctx.project.issuer, client.id);
            redirect::see_other(&in_language(ctx, &link))?
        }
    };
    response.headers_mut().insert(header::SET_COOKIE, cookie::set(ctx, &cookie)?);
    Ok(Some(response))
}

pub fn unregistered() -> Error {
    refused(|t| &t.errors.address_unregistered)
}

/// For applications that start by themselves: the browser is signed in, and the way there is a link.
fn signed_in(ctx: &Ctx, client: &Client) -> Result<Response> {
    let other = format!("/projects/{}/sign-in?client_id={}&prompt=login", ctx.project.slug, client.id);
    let application = policy::web_origin(client);
    let page = SignedInPage {
        t: ctx.texts,
        frame: Frame::of(ctx),
        client_name: &client.name,
        application: application.as_deref(),
        other: &in_language(ctx, &other),
    };
    pages::html(200, &page, &[])
}
