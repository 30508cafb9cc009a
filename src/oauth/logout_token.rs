//! Logout tokens (OpenID Connect Back-Channel Logout 1.0, 2.4): they tell an application that a session of its has ended.

use serde::Serialize;
use serde_json::{Value, json};

use crate::app::Ctx;
use crate::error::Result;
use crate::ids::FamilyId;
use crate::model::client::Client;
use crate::secret::encode_base64url;

/// Seconds for which a token is good: it is made when it is sent, and two minutes are the most that 2.4 recommends.
const LIFE_SECONDS: i64 = 120;

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

#[derive(Serialize)]
struct LogoutClaims {
    iss: String,
    aud: String,
    iat: i64,
    exp: i64,
    jti: String,
    sub: String,
    sid: String,
    events: Value,
}

/// Signed like the client's ID tokens (2.4). Without a `nonce`, and with a type of its own, so that it passes for none.
/// `sub` is the one that the session began with, whatever the client has registered since.
pub fn make(ctx: &Ctx, client: &Client, sub: String, family: FamilyId) -> Result<String> {
    let claims = LogoutClaims {
        iss: ctx.project.issuer.clone(),
        aud: client.id.to_string(),
        iat: ctx.now.unix(),
        exp: ctx.now.unix() + LIFE_SECONDS,
        jti: encode_base64url(&ctx.app.entropy.bytes::<16>()?),
        sub,
        sid: family.to_string(),
        events: json!({EVENT: {}}),
    };
    ctx.signer(client.settings.id_token_signed_response_alg)?.sign("logout+jwt", &claims)
}
