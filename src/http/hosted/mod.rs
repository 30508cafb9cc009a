//! The hosted pages: authorize, sign in, and what `tessera dev` shows at its redirect URI.

mod cookie;
mod form;
pub mod pages;

use std::sync::Arc;

use askama::Template;
use axum::body::Bytes;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use url::Url;

use self::pages::{DemoCallbackPage, ErrorPage, SignInPage};
use super::RequestId;
use super::answer::header_text;
use crate::app::{App, Ctx, Visit};
use crate::error::{Code, Error, Result, invalid_request, not_found};
use crate::identity::sign_in as signing_in;
use crate::model::client::Client;
use crate::oauth::authorize::{AuthorizationRequest, Parameters, check, find_client};
use crate::secret::Secret;
use crate::store::{browser_sessions, clients};

type Call = (Extension<RequestId>, HeaderMap);

pub async fn authorize_get(
    State(app): State<Arc<App>>,
    Path(project): Path<String>,
    RawQuery(query): RawQuery,
    call: Call,
) -> Response {
    authorize(app, &project, &query.unwrap_or_default(), call).await
}

pub async fn authorize_post(
    State(app): State<Arc<App>>,
    Path(project): Path<String>,
    call: Call,
    body: Bytes,
) -> Response {
    authorize(app, &project, &String::from_utf8_lossy(&body), call).await
}

async fn authorize(app: Arc<App>, project: &str, query: &str, call: Call) -> Response {
    let (Extension(RequestId(id)), headers) = call;
    let ctx = match load(app, project, id.clone()).await {
        Ok(ctx) => ctx,
        Err(error) => return error_page(None, &error, &id),
    };
    match begin(&ctx, query, &headers).await {
        Ok(response) => response,
        Err(error) => error_page(Some(&ctx.project.name), &error, &id),
    }
}

/// Pages answer only under the slug, and only while the project is active.
async fn load(app: Arc<App>, project: &str, id: String) -> Result<Ctx> {
    let now = app.clock.now();
    let ctx = Visit { app, project: project.to_owned(), request_id: id, now }.current().await?;
    if ctx.project.slug != project || !ctx.project.is_active() {
        return Err(not_found("There is no sign-in at this address."));
    }
    Ok(ctx)
}

async fn begin(ctx: &Ctx, query: &str, headers: &HeaderMap) -> Result<Response> {
    let parameters = Parameters::parse(query)?;
    let (client, redirect_uri) = find_client(ctx, &parameters).await?;
    let state = parameters.get("state").map(str::to_owned);
    let request = match check(&client, redirect_uri.clone(), &parameters) {
        Ok(request) => request,
        Err(error) => return redirect(ctx, &redirect_uri, state.as_deref(), Err(&error)),
    };
    let cookie = cookie::read(ctx, headers);
    let asks_anyway = request.prompt.as_deref().is_some_and(|prompt| prompt != "none");
    if let Some(cookie) = cookie.as_ref().filter(|_| !asks_anyway) {
        let hash = &cookie.sha256();
        let found = ctx
            .app
            .db
            .read(
                |conn| async move { browser_sessions::find_live(&conn, ctx.project.id, ctx.now, hash).await },
            )
            .await?;
        if let Some(session) = found
            && let Some(code) = signing_in::resume(ctx, &client, &request, &session).await?
        {
            return redirect(ctx, &request.redirect_uri, request.state.as_deref(), Ok(&code));
        }
    }
    if request.prompt.as_deref() == Some("none") {
        let error = Error::new(Code::LoginRequired, "nobody is signed in");
        return redirect(ctx, &request.redirect_uri, request.state.as_deref(), Err(&error));
    }
    show_sign_in(ctx, &client, &request, cookie, parameters.get("login_hint").unwrap_or_default(), None)
}

/// Shows the form, bound to the browser's cookie; a browser without one gets one that proves nothing yet.
fn show_sign_in(
    ctx: &Ctx,
    client: &Client,
    request: &AuthorizationRequest,
    cookie: Option<Secret>,
    username: &str,
    error: Option<&str>,
) -> Result<Response> {
    let (cookie, fresh) = match cookie {
        Some(cookie) => (cookie, false),
        None => (ctx.app.entropy.token("")?, true),
    };
    let sealed = form::seal(ctx, request, &cookie)?;
    let page = SignInPage {
        project_name: &ctx.project.name,
        client_name: &client.name,
        action: &format!("/projects/{}/sign-in", ctx.project.slug),
        request: &sealed,
        username,
        error,
        asset_base: "",
        request_id: &ctx.request_id,
    };
    let origin = Url::parse(&request.redirect_uri).map_or_else(|_| String::new(), |url| origin_of(&url));
    let status = if error.is_some() { 400 } else { 200 };
    let mut response = pages::html(status, page.render().map_err(Error::internal)?, &[&origin]);
    if fresh {
        response.headers_mut().append(header::SET_COOKIE, cookie::set(ctx, &cookie)?);
    }
    Ok(response)
}

fn origin_of(url: &Url) -> String {
    match url.origin() {
        origin if origin.is_tuple() => origin.ascii_serialization(),
        _ => format!("{}:", url.scheme()),
    }
}

pub async fn sign_in(
    State(app): State<Arc<App>>,
    Path(project): Path<String>,
    call: Call,
    body: Bytes,
) -> Response {
    let (Extension(RequestId(id)), headers) = call;
    let ctx = match load(app, &project, id.clone()).await {
        Ok(ctx) => ctx,
        Err(error) => return error_page(None, &error, &id),
    };
    match submit(&ctx, &headers, &body).await {
        Ok(response) => response,
        Err(error) => error_page(Some(&ctx.project.name), &error, &id),
    }
}

async fn submit(ctx: &Ctx, headers: &HeaderMap, body: &Bytes) -> Result<Response> {
    let stale = || {
        invalid_request(
            "This sign-in page is no longer valid. Please go back to the application and try again.",
        )
    };
    let mut fields = form::parse(body)?;
    let cookie = cookie::read(ctx, headers).ok_or_else(stale)?;
    // The seal binds the form to this browser's cookie and project: that is the CSRF protection.
    let request = form::open(ctx, fields.request.as_str(), &cookie).ok_or_else(stale)?;
    if header_text(headers, "sec-fetch-site").is_some_and(|site| site == "cross-site") {
        return Err(stale());
    }
    let client = ctx
        .app
        .db
        .read(|conn| async move { clients::find(&conn, ctx.project.id, request.client_id).await })
        .await?
        .filter(|client| client.is_active() && client.allows_redirect(&request.redirect_uri))
        .ok_or_else(stale)?;
    let user_agent: String =
        header_text(headers, "user-agent").unwrap_or_default().chars().take(256).collect();
    let password = std::mem::replace(&mut fields.password, Secret::new(""));
    let proven = signing_in::prove_password(ctx, &fields.username, password, &user_agent, "").await?;
    let fresh = ctx.app.entropy.token("")?;
    let code = match &proven {
        Some(sign_in) => signing_in::begin(ctx, &client, &request, sign_in, &fresh).await?,
        None => None,
    };
    let Some(code) = code else {
        let message = "That user name and password do not fit together.";
        return show_sign_in(ctx, &client, &request, Some(cookie), &fields.username, Some(message));
    };
    let mut response = redirect(ctx, &request.redirect_uri, request.state.as_deref(), Ok(&code))?;
    response.headers_mut().append(header::SET_COOKIE, cookie::set(ctx, &fresh)?);
    Ok(response)
}

/// 303, so that a form post is never repeated at the client (RFC 9700, 4.12); with `iss` (RFC 9207, 2).
fn redirect(ctx: &Ctx, uri: &str, state: Option<&str>, outcome: Result<&Secret, &Error>) -> Result<Response> {
    let mut url = Url::parse(uri).map_err(Error::internal)?;
    {
        let mut query = url.query_pairs_mut();
        match outcome {
            Ok(code) => {
                query.append_pair("code", code.expose());
            }
            Err(error) => {
                query.append_pair("error", error.code().as_str());
                query.append_pair("error_description", error.description());
            }
        }
        if let Some(state) = state {
            query.append_pair("state", state);
        }
        query.append_pair("iss", &ctx.project.issuer);
    }
    let location = HeaderValue::from_str(url.as_str()).map_err(Error::internal)?;
    let headers = [
        (header::LOCATION, location),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    Ok((StatusCode::SEE_OTHER, headers).into_response())
}

fn error_page(project_name: Option<&str>, error: &Error, request_id: &str) -> Response {
    if let Some(cause) = error.cause() {
        tracing::error!(code = error.code().as_str(), cause = format!("{cause:#}"), "page failed");
    }
    let page = ErrorPage {
        project_name,
        title: "This did not work",
        message: error.description(),
        asset_base: "",
        request_id,
    };
    let mut response = pages::html(error.code().status(), page.render().unwrap_or_default(), &[]);
    response.extensions_mut().insert(error.code());
    if let Some(seconds) = error.retry_after() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The stylesheet, under the one name that its content has.
pub async fn asset(Path(name): Path<String>) -> Response {
    match name == pages::stylesheet_name() {
        true => pages::stylesheet(),
        false => not_found("there is no such file").into_response(),
    }
}

/// The redirect page of the demo clients: shows the code and the line that exchanges it.
pub async fn demo_callback(
    State(app): State<Arc<App>>,
    Path(project): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response> {
    let parameters = Parameters::parse(&query.unwrap_or_default())?;
    let code = parameters.get("code");
    let callback = format!("{}/projects/{project}/demo/callback", app.base_url);
    let safe = code.filter(|code| code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'));
    let curl = format!(
        "curl -s {}/projects/{project}/api/GetTokenFromCode \\\n  -u \"$CLIENT_ID:$CLIENT_SECRET\" -H 'Content-Type: application/json' \\\n  -d '{{\"code\": \"{}\", \"redirect_uri\": \"{callback}\"}}'",
        app.base_url,
        safe.unwrap_or_default(),
    );
    let page = DemoCallbackPage {
        code,
        error: parameters.get("error"),
        error_description: parameters.get("error_description"),
        curl: &curl,
        login_link: "",
        asset_base: "",
    };
    Ok(pages::html(200, page.render().map_err(Error::internal)?, &[]))
}
