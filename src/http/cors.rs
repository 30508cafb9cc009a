//! Which pages may call us from a browser (the Fetch standard, 3.2): public documents every page, and what applications
//! call the pages of those origins that a client of the project registered. No answer ever lets a cookie be sent, and what
//! people see, the authorization endpoint among it, is for nobody's script.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::error::Result;
use crate::ids::ProjectId;
use crate::model::names::check_slug;
use crate::model::origin::is_origin;

/// Who may call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Audience {
    Everybody,
    Registered,
}

/// Routes that answer to other origins, with the methods that they take.
const ROUTES: &[(&str, Audience, &str)] = &[
    ("/projects/{project}/.well-known/openid-configuration", Audience::Everybody, "GET"),
    ("/projects/{project}/.well-known/oauth-authorization-server", Audience::Everybody, "GET"),
    ("/.well-known/oauth-authorization-server/projects/{project}", Audience::Everybody, "GET"),
    ("/projects/{project}/.well-known/jwks.json", Audience::Everybody, "GET"),
    ("/projects/{project}/oauth2/token", Audience::Registered, "POST"),
    ("/projects/{project}/oauth2/userinfo", Audience::Registered, "GET, POST"),
    ("/projects/{project}/oauth2/revoke", Audience::Registered, "POST"),
    ("/projects/{project}/oauth2/par", Audience::Registered, "POST"),
    ("/projects/{project}/api/GetTokenFromCode", Audience::Registered, "POST"),
    ("/projects/{project}/api/refresh", Audience::Registered, "POST"),
    ("/projects/{project}/api/userinfofromaccesstoken", Audience::Registered, "POST"),
    ("/projects/{project}/api/GlobalSignOut", Audience::Registered, "POST"),
    ("/projects/{project}/api/attribute-update", Audience::Registered, "POST"),
    ("/projects/{project}/api/account/profile", Audience::Registered, "GET, PATCH"),
    ("/projects/{project}/api/account/sessions", Audience::Registered, "GET"),
    ("/projects/{project}/api/account/sessions/end-others", Audience::Registered, "POST"),
    ("/projects/{project}/api/account/sessions/{sid}", Audience::Registered, "DELETE"),
    ("/projects/{project}/api/account/consents", Audience::Registered, "GET"),
    ("/projects/{project}/api/account/consents/{client_id}", Audience::Registered, "DELETE"),
    ("/projects/{project}/api/account/passkeys", Audience::Registered, "GET"),
    ("/projects/{project}/api/account/passkeys/begin", Audience::Registered, "POST"),
    ("/projects/{project}/api/account/passkeys/finish", Audience::Registered, "POST"),
    ("/projects/{project}/api/account/passkeys/{id}", Audience::Registered, "PATCH, DELETE"),
    ("/projects/{project}/api/account/factors", Audience::Registered, "GET"),
    ("/projects/{project}/api/account/factors/{id}", Audience::Registered, "PATCH, DELETE"),
    ("/projects/{project}/api/account/factors/app", Audience::Registered, "POST"),
    ("/projects/{project}/api/account/factors/app/confirm", Audience::Registered, "POST"),
    ("/projects/{project}/api/account/devices", Audience::Registered, "GET, DELETE"),
    ("/projects/{project}/api/account/devices/{id}", Audience::Registered, "DELETE"),
    ("/projects/{project}/api/account/recovery-codes", Audience::Registered, "POST"),
    ("/projects/{project}/api/account/email", Audience::Registered, "POST"),
    ("/projects/{project}/api/account/email/verify", Audience::Registered, "POST"),
    ("/projects/{project}/api/account/password", Audience::Registered, "POST"),
    ("/projects/{project}/api/account/data", Audience::Registered, "GET"),
    ("/projects/{project}/api/account/delete", Audience::Registered, "POST"),
];

/// Seconds for which a browser may remember that it may ask. What it is answered is judged anew each time.
const REMEMBERED: &str = "600";

/// What a page may send, and what it may read, beside what every page may.
const SENT: &str = "authorization, content-type, dpop, if-match";
const READ: &str = "dpop-nonce, etag, retry-after, www-authenticate, x-request-id";

/// Answers a preflight, and marks the answers of the routes above.
pub async fn answer(app: Arc<App>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let route = ROUTES.iter().find(|(known, ..)| Some(*known) == path);
    let Some(&(_, audience, methods)) = route else { return next.run(request).await };
    let allowed = match (audience, origin_of(request.headers())) {
        (Audience::Everybody, _) => Some(HeaderValue::from_static("*")),
        (Audience::Registered, None) => None,
        (Audience::Registered, Some(origin)) => {
            match is_registered(&app, request.uri().path(), &origin).await {
                Ok(true) => HeaderValue::from_str(&origin).ok(),
                Ok(false) => None,
                Err(error) => return marked(error.into_response(), audience, None),
            }
        }
    };
    let asks = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    match allowed.is_some() && asks {
        true => marked(preflight(methods), audience, allowed),
        false => marked(next.run(request).await, audience, allowed),
    }
}

/// The page that calls, if it has an origin of its own: `null`, and what no client can have registered, is nobody's.
fn origin_of(headers: &HeaderMap) -> Option<String> {
    let mut lines = headers.get_all(header::ORIGIN).iter();
    let origin = lines.next()?.to_str().ok().filter(|origin| is_origin(origin))?;
    lines.next().is_none().then(|| origin.to_owned())
}

async fn is_registered(app: &App, path: &str, origin: &str) -> Result<bool> {
    let project = path.split('/').nth(2).unwrap_or_default();
    if check_slug(project).is_err() && project.parse::<ProjectId>().is_err() {
        return Ok(false);
    }
    app.cache.is_registered_origin(app, project, origin, app.clock.now()).await
}

fn preflight(methods: &'static str) -> Response {
    let set = |name: HeaderName, value: &'static str| (name, HeaderValue::from_static(value));
    let headers = [
        set(header::ACCESS_CONTROL_ALLOW_METHODS, methods),
        set(header::ACCESS_CONTROL_ALLOW_HEADERS, SENT),
        set(header::ACCESS_CONTROL_MAX_AGE, REMEMBERED),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

fn marked(mut response: Response, audience: Audience, allowed: Option<HeaderValue>) -> Response {
    let headers = response.headers_mut();
    if audience == Audience::Registered {
        // RFC 9110, 12.5.5: another origin gets another answer.
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
    if let Some(origin) = allowed {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(READ));
    }
    response
}
