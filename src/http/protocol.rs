//! The OpenID Connect face: discovery, keys, token endpoint, userinfo. It advertises what works and nothing else.

use axum::Json;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::answer::ok;
use super::call::Call;
use crate::error::{Code, Error, Result, invalid_request};
use crate::model::client::SCOPES;
use crate::secret::Secret;
use crate::session::{exchange, refresh, user_info as userinfo};

const CACHED: &str = "public, max-age=300";

/// Seconds for which these documents are served from memory.
const RECENT_SECONDS: i64 = 5;

/// OpenID Connect Discovery 1.0, 4.
pub async fn discovery(call: Call) -> Result<Response> {
    let ctx = call.visit_by_slug()?.recent(RECENT_SECONDS).await?;
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
        "id_token_signing_alg_values_supported": ctx.entry.signing_algs(),
        "scopes_supported": SCOPES,
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
pub async fn jwks(call: Call) -> Result<Response> {
    let ctx = call.visit_by_slug()?.recent(RECENT_SECONDS).await?;
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, CACHED)];
    Ok((headers, ctx.entry.jwks.clone()).into_response())
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
pub async fn token(call: Call) -> Result<Response> {
    let visit = call.visit_by_slug()?;
    let kind = call.header("content-type").and_then(|text| text.split(';').next()).map(str::trim);
    if kind != Some("application/x-www-form-urlencoded") {
        return Err(Error::new(
            Code::UnsupportedMediaType,
            "the body must be application/x-www-form-urlencoded",
        ));
    }
    // serde refuses a parameter given twice (RFC 6749, 3.2).
    let form: TokenForm = serde_urlencoded::from_bytes(&call.body)
        .map_err(|_| invalid_request("the body is not form-encoded, or a parameter is given twice"))?;
    let credentials = call.credentials(form.client_id, form.client_secret)?;
    match form.grant_type.as_deref() {
        Some("authorization_code") => {
            let request = exchange::Request {
                code: form.code.ok_or_else(|| Error::invalid_field("code", "code is missing"))?,
                redirect_uri: form
                    .redirect_uri
                    .ok_or_else(|| Error::invalid_field("redirect_uri", "redirect_uri is missing"))?,
                code_verifier: form.code_verifier,
            };
            Ok(ok(&exchange::exchange(&visit, &credentials, &request).await?))
        }
        Some("refresh_token") => {
            let token = form
                .refresh_token
                .ok_or_else(|| Error::invalid_field("refresh_token", "refresh_token is missing"))?;
            Ok(ok(&refresh::refresh(&visit, credentials, &token, form.scope.as_deref()).await?))
        }
        Some(_) => Err(Error::new(Code::UnsupportedGrantType, "this grant type is not supported")),
        None => Err(Error::invalid_field("grant_type", "grant_type is missing")),
    }
}

/// OpenID Connect Core, 5.3: by GET or POST, the token in the Authorization header.
pub async fn user_info(call: Call) -> Result<Response> {
    let token = call.access_token(None)?;
    Ok(ok(&userinfo::user_info(&call.visit_by_slug()?, token.expose()).await?))
}
