//! The OpenID Connect face: discovery, keys, token endpoint, userinfo. It advertises what works and nothing else.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::RequestId;
use super::answer::{bearer, header_text, ok};
use crate::app::{App, Ctx};
use crate::error::{Code, Error, Result, invalid_request, invalid_token, not_found};
use crate::keys::verify::jwks_document;
use crate::oauth::client_auth::{authenticate, presented};
use crate::secret::Secret;
use crate::session::{exchange, refresh, user_info as userinfo};

const CACHED: &str = "public, max-age=300";

/// OpenID Connect Discovery 1.0, 4.
pub async fn discovery(
    State(app): State<Arc<App>>,
    Path(project): Path<String>,
    Extension(RequestId(id)): Extension<RequestId>,
) -> Result<Response> {
    let ctx = load(app, &project, id).await?;
    let issuer = &ctx.project.issuer;
    let document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/oauth2/authorize"),
        "token_endpoint": format!("{issuer}/oauth2/token"),
        "userinfo_endpoint": format!("{issuer}/oauth2/userinfo"),
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "scopes_supported": ["openid", "profile", "email", "offline_access", "account"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "claims_parameter_supported": false,
    });
    Ok(([(header::CACHE_CONTROL, CACHED)], Json(document)).into_response())
}

/// RFC 7517, 5.
pub async fn jwks(
    State(app): State<Arc<App>>,
    Path(project): Path<String>,
    Extension(RequestId(id)): Extension<RequestId>,
) -> Result<Response> {
    let ctx = load(app, &project, id).await?;
    Ok(([(header::CACHE_CONTROL, CACHED)], Json(jwks_document(&ctx.public_jwks()))).into_response())
}

/// Protocol endpoints answer only under the issuer, which is built from the slug.
async fn load(app: Arc<App>, project: &str, id: String) -> Result<Ctx> {
    let ctx = Ctx::load(app, project, id).await?;
    if ctx.project.slug == project { Ok(ctx) } else { Err(not_found("no such project")) }
}

#[derive(Deserialize)]
struct TokenForm {
    grant_type: Option<String>,
    client_id: Option<String>,
    client_secret: Option<Secret>,
    code: Option<Secret>,
    redirect_uri: Option<String>,
    code_verifier: Option<Secret>,
    refresh_token: Option<Secret>,
    scope: Option<String>,
}

/// RFC 6749, 3.2: the same decisions as the session API, form-encoded.
pub async fn token(
    State(app): State<Arc<App>>,
    Path(project): Path<String>,
    Extension(RequestId(id)): Extension<RequestId>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response> {
    let ctx = load(app, &project, id).await?;
    let kind = header_text(&headers, "content-type").and_then(|text| text.split(';').next()).map(str::trim);
    if kind != Some("application/x-www-form-urlencoded") {
        return Err(Error::new(
            Code::UnsupportedMediaType,
            "the body must be application/x-www-form-urlencoded",
        ));
    }
    // serde refuses a parameter given twice (RFC 6749, 3.2).
    let form: TokenForm = serde_urlencoded::from_bytes(&body)
        .map_err(|_| invalid_request("the body is not form-encoded, or a parameter is given twice"))?;
    let credentials = presented(header_text(&headers, "authorization"), form.client_id, form.client_secret)?;
    let client = authenticate(&ctx, credentials).await?;
    match form.grant_type.as_deref() {
        Some("authorization_code") => {
            let request = exchange::Request {
                code: form.code.ok_or_else(|| Error::invalid_field("code", "code is missing"))?,
                redirect_uri: form
                    .redirect_uri
                    .ok_or_else(|| Error::invalid_field("redirect_uri", "redirect_uri is missing"))?,
                code_verifier: form.code_verifier,
            };
            Ok(ok(&exchange::exchange(&ctx, &client, &request).await?))
        }
        Some("refresh_token") => {
            let token = form
                .refresh_token
                .ok_or_else(|| Error::invalid_field("refresh_token", "refresh_token is missing"))?;
            Ok(ok(&refresh::refresh(&ctx, &client, token.expose(), form.scope.as_deref()).await?))
        }
        Some(_) => Err(Error::new(Code::UnsupportedGrantType, "this grant type is not supported")),
        None => Err(Error::invalid_field("grant_type", "grant_type is missing")),
    }
}

/// OpenID Connect Core, 5.3: by GET or POST, the token in the Authorization header.
pub async fn user_info(
    State(app): State<Arc<App>>,
    Path(project): Path<String>,
    Extension(RequestId(id)): Extension<RequestId>,
    headers: HeaderMap,
) -> Result<Response> {
    let ctx = load(app, &project, id).await?;
    let token = bearer(&headers).ok_or_else(|| invalid_token("the request carries no access token"))?;
    Ok(ok(&userinfo::user_info(&ctx, token).await?))
}
