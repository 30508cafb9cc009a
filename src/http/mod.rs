//! The only room that speaks axum: routes, bodies in, answers out.

pub mod account;
pub mod admin;
pub mod answer;
pub mod attributes;
pub mod body;
pub mod bulk_deletion;
pub mod call;
pub mod connections;
mod cors;
pub mod deletion;
pub mod hosted;
pub mod members;
pub mod oauth;
pub mod openapi;
pub mod permissions;
mod routing;
pub mod session;
mod to_the_end;
mod user_name;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tracing::Instrument;

use self::connections::Connection;
use self::hosted::factor::{enrol, second_factor};
use self::hosted::{
    assets, authorize, brand, consent, demo, device, forgotten, link, logout, passkey, select_account,
    sign_in, sign_up,
};
use self::oauth::{device_authorization, discovery, introspect, par, register, revoke, token, userinfo};
use self::routing::{Routes, get, post};
use self::to_the_end::ToTheEnd;
use crate::app::App;
use crate::error::{Code, Error, not_found};
use crate::events::ORIGIN;
use crate::mail::Mailer;
use crate::model::names::check_slug;

/// Bodies are at most this many bytes.
const MOST_BODY_BYTES: usize = 64 * 1024;

/// The id of a request: in every answer, every error and every log line about it.
#[derive(Clone)]
pub struct RequestId(pub String);

/// Every route of the server.
pub fn router(app: Arc<App>) -> Router {
    let mut project = Routes::default()
        .route("/.well-known/openid-configuration", get(discovery::discovery))
        .route("/.well-known/oauth-authorization-server", get(discovery::discovery))
        .route("/.well-known/jwks.json", get(discovery::jwks))
        .route(
            "/oauth2/authorize",
            get(authorize::get).head(authorize::head).post(authorize::post).fallback(hosted::wrong_method),
        )
        .route("/oauth2/userinfo", get(userinfo::user_info).post(userinfo::user_info))
        .route("/oauth2/token", post(token::token))
        .route("/oauth2/par", post(par::push))
        .route("/oauth2/register", post(register::register))
        .route(
            "/oauth2/register/{client_id}",
            get(register::read).put(register::replace).delete(register::delete),
        )
        .route("/oauth2/device_authorization", post(device_authorization::begin))
        .route(
            "/device",
            get(device::ask).head(device::head).post(device::enter).fallback(hosted::wrong_method),
        )
        .route("/device/confirm", get(device::confirm).post(device::decide).fallback(hosted::wrong_method))
        .route("/oauth2/introspect", post(introspect::introspect))
        .route("/oauth2/revoke", post(revoke::revoke))
        .route(
            "/oauth2/logout",
            get(logout::get).head(logout::head).post(logout::post).fallback(hosted::wrong_method),
        )
        .route("/brand/{file}", get(brand::serve))
        .route("/sign-out", post(logout::submit).fallback(hosted::wrong_method))
        .route(
            "/sign-in",
            get(sign_in::start).head(sign_in::head).post(sign_in::submit).fallback(hosted::wrong_method),
        )
        .route(
            "/forgotten-password",
            get(forgotten::ask).head(forgotten::head).post(forgotten::submit).fallback(hosted::wrong_method),
        )
        .route(
            "/sign-up",
            get(sign_up::ask).head(sign_up::head).post(sign_up::submit).fallback(hosted::wrong_method),
        )
        .route(
            "/link/{kind}",
            get(link::open).head(link::head).post(link::submit).fallback(hosted::wrong_method),
        )
        .route(
            "/second-factor",
            get(second_factor::get)
                .head(second_factor::head)
                .post(second_factor::post)
                .fallback(hosted::wrong_method),
        )
        .route(
            "/enrol",
            get(enrol::get).head(second_factor::head).post(enrol::post).fallback(hosted::wrong_method),
        )
        .route("/sign-in/passkey", post(passkey::submit).fallback(hosted::wrong_method))
        .route("/consent", post(consent::submit).fallback(hosted::wrong_method))
        .route("/select-account", post(select_account::submit).fallback(hosted::wrong_method))
        .route("/api/GetTokenFromCode", post(session::get_token_from_code))
        .route("/api/refresh", post(session::refresh))
        .route("/api/verifyaccesstoken", post(session::verify_access_token))
        .route("/api/userinfofromaccesstoken", post(session::user_info_from_access_token))
        .route("/api/token-validity", get(session::read_token_validity).put(session::change_token_validity))
        .route("/api/attribute-update", post(attributes::update))
        .route("/api/delete-user", post(deletion::request))
        .route("/api/delete-user/confirm", post(deletion::confirm))
        .route("/api/delete-user/cancel", post(deletion::cancel))
        .route("/api/delete-user/{deletion_id}", get(deletion::state))
        .route("/api/delete-user/{deletion_id}/record", get(deletion::record))
        .route("/api/delete-users", post(bulk_deletion::request))
        .route("/api/delete-users/cancel", post(bulk_deletion::cancel))
        .route("/api/delete-users/{deletion_id}", get(bulk_deletion::state))
        .route("/api/delete-users/{deletion_id}/results", get(bulk_deletion::results))
        .route("/api/GlobalSignOut", post(session::global_sign_out))
        .merge(account::routes())
        .merge(hosted::account::routes());
    if app.demo.is_some() {
        project = project.route("/demo/callback", get(demo::callback).fallback(hosted::wrong_method));
    }
    Routes::default()
        .nest("/projects/{project}", project)
        // RFC 8414, 3.1: before the path of the issuer.
        .route("/.well-known/oauth-authorization-server/projects/{project}", get(discovery::discovery))
        .merge(admin::routes())
        .merge(mailbox(&app))
        .route("/health", get(health))
        .route("/openapi.json", get(openapi::serve))
        .route("/docs", get(openapi::viewer))
        .route("/docs/", get(openapi::file))
        .route("/docs/{file}", get(openapi::file))
        .route("/assets/{name}", get(assets::serve))
        .into_router()
        .fallback(|| async { answer::json_error(&not_found("there is nothing at this address")) })
        .method_not_allowed_fallback(|| async {
            answer::json_error(&Error::new(Code::MethodNotAllowed, "this address takes another method"))
        })
        .layer(DefaultBodyLimit::max(MOST_BODY_BYTES))
        .layer(from_fn_with_state(app.clone(), to_the_end))
        .with_state(app)
}

/// Where mail is kept instead of sent.
fn mailbox(app: &App) -> Routes {
    match app.mailer {
        Mailer::Files(_) => Routes::default()
            .route("/dev/mail", get(hosted::mailbox::list))
            .route("/dev/mail/{id}", get(hosted::mailbox::read)),
        _ => Routes::default(),
    }
}

/// Runs each request to its end, also when its client hangs up or its handler panics. Adds the request id.
async fn to_the_end(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let id = match app.entropy.id::<uuid::Uuid>(app.clock.now()) {
        Ok(id) => id.to_string(),
        Err(error) => return answer::json_error(&error),
    };
    request.extensions_mut().insert(RequestId(id.clone()));
    let span = span_of(&id, &request);
    let running = app.running.begin();
    let gateway = gateway_of(&app, &request);
    let origin = call::origin(&app, &request);
    let work =
        answer::REQUEST_ID.scope(id.clone(), ORIGIN.scope(origin, cors::answer(app.clone(), request, next)));
    let work = async move {
        let response = work.await;
        let error = response.extensions().get::<Code>().map(|code| code.as_str());
        tracing::info!(status = response.status().as_u16(), error, "answered");
        drop(running);
        response
    };
    let work = AssertUnwindSafe(work.instrument(span.clone())).catch_unwind();
    let mut response = match ToTheEnd::new(work).await {
        Ok(response) => response,
        // Not with the message of the panic, which may quote a secret.
        Err(_) => {
            span.in_scope(|| answer::json_error(&Error::internal("the handler of the request panicked")))
        }
    };
    if gateway.is_some_and(|connection| connection.loses_answer.swap(false, Ordering::AcqRel)) {
        response = StatusCode::GATEWAY_TIMEOUT.into_response();
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), value);
    }
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// The connection of a proxy of ours. It is not cut for a sandbox's sake: the proxy would take this node for broken, and
/// keep everybody from it.
fn gateway_of(app: &App, request: &Request) -> Option<Arc<Connection>> {
    let connection = request.extensions().get::<Arc<Connection>>()?;
    app.proxies.trusts(connection.peer.ip().to_canonical()).then(|| connection.clone())
}

/// The route and the project, never the address: people put secrets, names and mail addresses into paths and queries.
fn span_of(id: &str, request: &Request) -> tracing::Span {
    let method = request.method().as_str();
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let mut segments = request.uri().path().split('/').skip_while(|segment| *segment != "projects");
    let project = segments
        .nth(1)
        .filter(|name| route.is_some() && (check_slug(name).is_ok() || name.parse::<uuid::Uuid>().is_ok()));
    tracing::info_span!("request", id, method, route, project)
}

/// 200 while the store answers.
async fn health(State(app): State<Arc<App>>) -> Response {
    if app.db.is_healthy().await {
        return "ok\n".into_response();
    }
    answer::json_error(&Error::unavailable(1, "the store does not answer"))
}
