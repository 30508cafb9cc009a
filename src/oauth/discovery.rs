//! What a project publishes of itself. It advertises what works and nothing else.

use bytes::Bytes;
use serde_json::{Value, json};

use super::authorize::ResponseMode;
use crate::model::claim;
use crate::model::client::GrantType;
use crate::model::project::{DynamicRegistration, Project};
use crate::model::proven::Acr;
use crate::model::sign_in_policy::SecondFactor;
use crate::model::signing_key::Alg;
use crate::secret::{encode_base64url, sha256};
use crate::texts;

/// A document that everybody may read and keep: made once, given out as it is.
pub struct Published {
    pub text: Bytes,
    /// The same for the same text, on every node (RFC 9110, 8.8.3).
    pub etag: String,
}

impl Published {
    pub fn new(document: &Value) -> Self {
        let text = document.to_string();
        let etag = format!("\"{}\"", encode_base64url(&sha256(text.as_bytes())[..16]));
        Self { text: text.into(), etag }
    }
}

/// How clients prove themselves.
const PROVEN: [&str; 3] = ["client_secret_basic", "client_secret_post", "private_key_jwt"];

/// Claims of ID tokens themselves.
const OF_TOKENS: [&str; 9] = ["sub", "iss", "aud", "exp", "iat", "auth_time", "acr", "amr", "sid"];

/// OpenID Connect Discovery 1.0, 3, which RFC 8414, 2 agrees with.
pub fn document(project: &Project, signing_algs: &[Alg], scopes: &[&str]) -> Value {
    let issuer = &project.issuer;
    let claims: Vec<&str> = OF_TOKENS.into_iter().chain(claim::all()).collect();
    let with_none = [&PROVEN[..], &["none"]].concat();
    let mut document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/oauth2/authorize"),
        "token_endpoint": format!("{issuer}/oauth2/token"),
        "userinfo_endpoint": format!("{issuer}/oauth2/userinfo"),
        "device_authorization_endpoint": format!("{issuer}/oauth2/device_authorization"),
        "pushed_authorization_request_endpoint": format!("{issuer}/oauth2/par"),
        "end_session_endpoint": format!("{issuer}/oauth2/logout"),
        "jwks_uri": format!("{issuer}/.well-known/jwks.json"),
        "response_types_supported": ["code"],
        "response_modes_supported": ResponseMode::ALL,
        "introspection_endpoint": format!("{issuer}/oauth2/introspect"),
        "revocation_endpoint": format!("{issuer}/oauth2/revoke"),
        "grant_types_supported": GrantType::ALL,
        "subject_types_supported": ["public", "pairwise"],
        "id_token_signing_alg_values_supported": signing_algs,
        "userinfo_signing_alg_values_supported": signing_algs,
        "introspection_signing_alg_values_supported": signing_algs,
        "dpop_signing_alg_values_supported": Alg::ALL,
        "scopes_supported": scopes,
        "token_endpoint_auth_methods_supported": with_none,
        "token_endpoint_auth_signing_alg_values_supported": Alg::ALL,
        "revocation_endpoint_auth_methods_supported": with_none,
        "revocation_endpoint_auth_signing_alg_values_supported": Alg::ALL,
        "introspection_endpoint_auth_methods_supported": PROVEN,
        "introspection_endpoint_auth_signing_alg_values_supported": Alg::ALL,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
        "request_parameter_supported": true,
        "request_object_signing_alg_values_supported": Alg::ALL,
        "request_uri_parameter_supported": false,
        "claims_parameter_supported": true,
        "claims_supported": claims,
        "acr_values_supported": acrs(project),
        "ui_locales_supported": texts::all().iter().map(|texts| &texts.language.tag).collect::<Vec<_>>(),
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
    });
    if project.settings.dynamic_registration != DynamicRegistration::Off {
        document["registration_endpoint"] = json!(format!("{issuer}/oauth2/register"));
    }
    document
}

/// How sure sign-ins may be.
fn acrs(project: &Project) -> Vec<&'static str> {
    let has_second = project.settings.sign_in.second_factor != SecondFactor::Off;
    [Some(Acr::One), has_second.then_some(Acr::Two)].into_iter().flatten().map(Acr::as_str).collect()
}
