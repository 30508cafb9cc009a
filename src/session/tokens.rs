//! Making the tokens of a family.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::app::Ctx;
use crate::error::{Error, Result};
use crate::ids::{FamilyId, UserId};
use crate::keys::refresh_token::RefreshToken;
use crate::keys::signing::token_hash;
use crate::model::client::Client;
use crate::model::timestamp::Timestamp;
use crate::model::token::{AccessClaims, Confirmation, IdClaims};
use crate::secret::encode_base64url;

/// The answer of `GetTokenFromCode` and `refresh`; durations in seconds.
#[derive(Debug, Serialize)]
pub struct TokenSet {
    pub id_token: String,
    pub access_token: String,
    pub refresh_token: String,
    pub token_type: &'static str,
    pub expires_in: i64,
    pub refresh_expires_in: i64,
    pub scope: String,
}

/// What the tokens of one answer say.
pub struct Grant<'a> {
    pub family: FamilyId,
    pub user: UserId,
    pub scope: &'a str,
    pub audience: &'a str,
    pub auth_time: Timestamp,
    pub amr: &'a str,
    pub acr: &'a str,
    pub nonce: Option<&'a str>,
    pub roles: &'a str,
    pub groups: &'a str,
    pub attributes: &'a str,
    /// The thumbprint of the key that the tokens are bound to.
    pub cnf_jkt: Option<&'a str>,
    pub user_version: i64,
    pub idle_expires_at: Timestamp,
    pub expires_at: Timestamp,
    pub mac_key_id: &'a str,
    pub seq: i64,
}

/// Signs access and ID token and computes the refresh token.
pub fn issue(ctx: &Ctx, client: &Client, grant: &Grant<'_>) -> Result<TokenSet> {
    let settings = &client.settings;
    let (access_signer, id_signer) = (
        ctx.signer(settings.access_token_signed_response_alg)?,
        ctx.signer(settings.id_token_signed_response_alg)?,
    );
    let validity = &settings.validity;
    let list = |text: &str| serde_json::from_str::<Vec<String>>(text).map_err(Error::internal);
    // No token outlives its family.
    let family_ends = grant.expires_at.unix();
    let access = AccessClaims {
        iss: ctx.project.issuer.clone(),
        sub: grant.user.to_string(),
        aud: grant.audience.to_owned(),
        client_id: client.id.to_string(),
        exp: (ctx.now.unix() + validity.access_token).min(family_ends),
        iat: ctx.now.unix(),
        jti: encode_base64url(&ctx.app.entropy.bytes::<16>()?),
        scope: grant.scope.to_owned(),
        sid: grant.family.to_string(),
        auth_time: grant.auth_time.unix(),
        acr: grant.acr.to_owned(),
        amr: list(grant.amr)?,
        roles: list(grant.roles)?,
        groups: list(grant.groups)?,
        user_version: grant.user_version,
        sandbox: ctx.project.is_sandbox(),
        cnf: grant.cnf_jkt.map(|jkt| Confirmation { jkt: jkt.to_owned() }),
        attributes: shown_attributes(ctx, grant.attributes)?,
    };
    let access_token = access_signer.sign("at+jwt", &access)?;
    let id = IdClaims {
        iss: access.iss,
        sub: access.sub,
        aud: access.client_id,
        exp: (ctx.now.unix() + validity.id_token).min(family_ends),
        iat: access.iat,
        auth_time: access.auth_time,
        sid: access.sid,
        acr: access.acr,
        amr: access.amr,
        at_hash: token_hash(id_signer.alg(), &access_token),
        nonce: grant.nonce.map(str::to_owned),
    };
    let refresh =
        RefreshToken::make(&ctx.app.master_keys, ctx.project.id, grant.mac_key_id, grant.family, grant.seq)?;
    Ok(TokenSet {
        id_token: id_signer.sign("JWT", &id)?,
        access_token,
        refresh_token: refresh.expose().to_owned(),
        token_type: "Bearer",
        expires_in: access.exp - access.iat,
        refresh_expires_in: grant.idle_expires_at.min(grant.expires_at).seconds_since(ctx.now),
        scope: grant.scope.to_owned(),
    })
}

/// The attributes whose definition puts them into access tokens.
fn shown_attributes(ctx: &Ctx, attributes: &str) -> Result<Map<String, Value>> {
    let definitions = &ctx.entry.definitions;
    if attributes == "{}" || !definitions.iter().any(|definition| definition.in_access_token) {
        return Ok(Map::new());
    }
    let mut attributes: Map<String, Value> = serde_json::from_str(attributes).map_err(Error::internal)?;
    attributes.retain(|name, _| definitions.iter().any(|known| known.in_access_token && known.name == *name));
    Ok(attributes)
}
