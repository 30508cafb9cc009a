//! `sign-in`: the login link that starts one, the form, and what is posted from it.

use axum::http::{HeaderValue, header};
use axum::response::Response;

use super::factor::{Carried, Gone, Step, go_on};
use super::forgotten::beside;
use super::form::{self, Aim, Asked, Content, Received};
use super::frame::{Frame, in_language};
use super::page::Page;
use super::pages::{self, SignInPage, SignedInPage};
use super::{authorize, cookie, passkey, policy, redirect};
use crate::app::Ctx;
use crate::error::{Code, Error, Result, refused};
use crate::identity::sign_in::{find_session, prove_password};
use crate::identity::sign_up::is_open;
use crate::ids::UserId;
use crate::model::client::Client;
use crate::oauth::authorize::{active_client, check_prompt, find_client, parse};
use crate::oauth::parameters::Parameters;
use crate::secret::Secret;
use crate::store::browser_sessions::SignIn;
use crate::store::users;
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
    if without_pkce || client.settings.starts_alone() {
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
    show(page, Some(client), Aim::BrowserSession(client.id), cookie, hint)
}

/// Shows the form, bound to the browser's cookie; a browser without one gets one that proves nothing yet.
pub fn show(
    page: &Page,
    client: Option<&Client>,
    aim: Aim,
    cookie: Option<Secret>,
    username: &str,
) -> Result<Response> {
    render(&page.ctx, client, &Asked { aim, user: None }, cookie, (username, 200, None))
}

/// Asks whoever is signed in to show again that it is they.
pub async fn ask_again(
    page: &Page,
    client: Option<&Client>,
    aim: Aim,
    user: UserId,
    cookie: Secret,
) -> Result<Response> {
    let username = name_of(&page.ctx, user).await?;
    render(&page.ctx, client, &Asked { aim, user: Some(user) }, Some(cookie), (&username, 200, None))
}

pub(super) async fn name_of(ctx: &Ctx, user: UserId) -> Result<String> {
    let found = ctx.app.db.read(|conn| async move { users::find(&conn, ctx.project.id, user).await }).await?;
    Ok(found.and_then(|user| user.username).unwrap_or_default())
}

pub(super) fn render(
    ctx: &Ctx,
    client: Option<&Client>,
    asked: &Asked,
    cookie: Option<Secret>,
    (username, status, error): (&str, u16, Option<&Text>),
) -> Result<Response> {
    cookie::bind(ctx, cookie, |cookie| {
        let request = form::seal(ctx, asked, cookie)?;
        let id = client.map(|client| client.id);
        let sign_up = is_open(ctx) && asked.user.is_none();
        let sign_up = sign_up.then(|| beside(ctx, "sign-up", &request, id));
        let page = SignInPage {
            t: ctx.texts,
            frame: Frame::of(ctx),
            client_name: client.map(|client| client.name.as_str()),
            action: &format!("/projects/{}/sign-in", ctx.project.slug),
            request: &request,
            forgotten: &beside(ctx, "forgotten-password", &request, id),
            sign_up: sign_up.as_deref(),
            username: if username.chars().count() > MOST_SHOWN { "" } else { username },
            is_known: asked.user.is_some(),
            error: error.map(Text::as_str),
            host: ctx.app.base_url.split_once("://").map_or("", |(_, host)| host),
            passkey: passkey::offer(ctx, cookie)?,
        };
        let targets = client.map(policy::form_targets).unwrap_or_default();
        let scripted = page.passkey.is_some();
        passkey::html(ctx, status, &page, &targets, scripted)
    })
}

/// The posted form.
pub async fn submit(page: Page) -> Response {
    page.answer(judge(&page).await)
}

async fn judge(page: &Page) -> Result<Response> {
    let ctx = &page.ctx;
    let posted = match form::receive::<Asked>(page)? {
        Received::Valid(posted) => posted,
        Received::Stale(asked) => return pages::stale(ctx, &asked.link(ctx)),
    };
    let (asked, mut fields, cookie) = (posted.content, posted.fields, posted.cookie);
    let client = match asked.aim.client_id() {
        Some(id) => Some(active_client(ctx, id).await?),
        None => None,
    };
    let (typed, password) = (fields.take("username"), Secret::new(fields.take("password")));
    let username = match asked.user {
        Some(user) => name_of(ctx, user).await?,
        None => typed,
    };
    let t = &ctx.texts.sign_in;
    let again = |status, text| {
        render(ctx, client.as_ref(), &asked, Some(cookie.clone()), (&username, status, Some(text)))
    };
    let proven = prove_password(ctx, &username, password, (page.browser(), page.known_by().as_ref())).await;
    // Nobody else will do, where it is known who it is.
    let is_meant = |sign_in: &SignIn| asked.user.is_none_or(|user| user == sign_in.user_id);
    match proven.map(|sign_in| sign_in.filter(is_meant)) {
        Ok(Some(sign_in)) => {
            let carried = Carried::of(asked.aim.clone(), client.as_ref());
            let step = Step { sign_in, cookie: &cookie, last: None, remember: false };
            match go_on(page, &carried, &step).await? {
                Gone::On(response) => Ok(response),
                Gone::Overtaken | Gone::Replayed => again(400, &t.wrong),
            }
        }
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
