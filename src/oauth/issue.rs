//! Making the tokens of a family.

use serde::Serialize;
use serde_json::{Map, Value};

use super::grants::Face;
use super::resources::scope_for;
use crate::app::Ctx;
use crate::error::{Error, Result};
use crate::ids::FamilyId;
use crate::keys::refresh_token::RefreshToken;
use crate::keys::signing::token_hash;
use crate::model::claims_request::ClaimsRequest;
use crate::model::client::{Client, GrantType};
use crate::model::timestamp::Timestamp;
use crate::model::token::{AccessClaims, Audience, Confirmation, IdClaims, SessionClaims};
use crate::secret::encode_base64url;
use crate::session::person::{Person, Shown, Sight, still_granted};

/// The answer of the token endpoint, `GetTokenFromCode` and `refresh` (RFC 6749, 5.1); durations in seconds.
#[derive(Debug, Serialize)]
pub struct TokenSet {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token: Option<String>,
    pub access_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// RFC 8693, 2.2.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_token_type: Option<&'static str>,
    pub token_type: &'static str,
    pub expires_in: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refresh_expires_in: Option<i64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub scope: String,
}

impl TokenSet {
    fn of_access_token(access_token: String, expires_in: i64, scope: &str, is_bound: bool) -> Self {
        Self {
            id_token: None,
            access_token,
            refresh_token: None,
            issued_token_type: None,
            // RFC 9449, 5.
            token_type: if is_bound { "DPoP" } else { "Bearer" },
            expires_in,
            refresh_expires_in: None,
            scope: scope.to_owned(),
        }
    }
}

/// What the tokens of one answer say.
pub struct Grant<'a> {
    pub family: FamilyId,
    /// The `sub`.
    pub subject: String,
    pub scope: &'a str,
    /// The project's version in which the person allowed it; `None`: nobody had to.
    pub allowed_as_of: Option<i64>,
    /// Words.
    pub audience: &'a str,
    pub auth_time: Timestamp,
    pub amr: &'a str,
    pub acr: &'a str,
    pub nonce: Option<&'a str>,
    pub person: Person<'a>,
    /// What was asked for beyond the scope, as the store holds it.
    pub claims: Option<&'a str>,
    /// The thumbprint of the key that the tokens are bound to.
    pub cnf_jkt: Option<&'a str>,
    pub user_version: i64,
    pub idle_expires_at: Timestamp,
    pub expires_at: Timestamp,
    pub mac_key_id: &'a str,
    pub seq: i64,
}

/// Signs access and ID token and computes the refresh token.
pub fn issue(ctx: &Ctx, client: &Client, grant: &Grant<'_>, face: Face) -> Result<TokenSet> {
    let claims = access_claims(ctx, client, grant)?;
    let access_token =
        ctx.signer(client.settings.access_token_signed_response_alg)?.sign("at+jwt", &claims)?;
    let (expires_in, scope) = (claims.exp - claims.iat, claims.scope.clone());
    let id_token = match face.identifies(&scope) {
        true => Some(id_token(ctx, client, grant, claims, &access_token)?),
        false => None,
    };
    let mut tokens = TokenSet {
        id_token,
        ..TokenSet::of_access_token(access_token, expires_in, &scope, grant.cnf_jkt.is_some())
    };
    if client.may_use(GrantType::RefreshToken) {
        let (keys, project) = (&ctx.app.master_keys, ctx.project.id);
        let token = RefreshToken::make(keys, project, grant.mac_key_id, grant.family, grant.seq)?;
        tokens.refresh_token = Some(token.expose().to_owned());
        tokens.refresh_expires_in = Some(grant.idle_expires_at.min(grant.expires_at).seconds_since(ctx.now));
    }
    Ok(tokens)
}

/// Signs an access token that comes alone.
pub fn issue_alone(ctx: &Ctx, client: &Client, claims: &AccessClaims) -> Result<TokenSet> {
    let signer = ctx.signer(client.settings.access_token_signed_response_alg)?;
    let token = signer.sign("at+jwt", claims)?;
    Ok(TokenSet::of_access_token(token, claims.exp - claims.iat, &claims.scope, claims.cnf.is_some()))
}

/// The epochs of a client that acts in its own name.
pub fn epochs(ctx: &Ctx, client: &Client) -> Option<[i64; 2]> {
    Some([ctx.project.token_epoch, client.token_epoch])
}

/// RFC 9068, 2.2.
pub fn access_claims(ctx: &Ctx, client: &Client, grant: &Grant<'_>) -> Result<AccessClaims> {
    let list = |text: &str| serde_json::from_str::<Vec<String>>(text).map_err(Error::internal);
    let now = ctx.now.unix();
    let scope = still_granted(&ctx.entry, grant.scope, grant.allowed_as_of);
    let scope = scope_for(&ctx.entry, &scope, grant.audience);
    let sight = match client.settings.first_party && grant.allowed_as_of.is_none() {
        true => Sight::Whole,
        false => Sight::By(Shown::by_scope(&ctx.entry, &scope)),
    };
    let held = |name, text: &str| if sight.reaches_claim(name) { list(text) } else { Ok(Vec::new()) };
    Ok(AccessClaims {
        iss: ctx.project.issuer.clone(),
        sub: grant.subject.clone(),
        aud: Audience::of_words(grant.audience),
        client_id: client.id.to_string(),
        // No token outlives its family.
        exp: (now + client.settings.validity.access_token).min(grant.expires_at.unix()),
        iat: now,
        jti: encode_base64url(&ctx.app.entropy.bytes::<16>()?),
        session: Some(SessionClaims {
            sid: grant.family.to_string(),
            auth_time: grant.auth_time.unix(),
            acr: grant.acr.to_owned(),
            amr: list(grant.amr)?,
            roles: held("roles", grant.person.roles)?,
            groups: held("groups", grant.person.groups)?,
            user_version: sight.reaches_anything().then_some(grant.user_version),
        }),
        epochs: None,
        sandbox: ctx.project.is_sandbox(),
        cnf: grant.cnf_jkt.map(|jkt| Confirmation { jkt: jkt.to_owned() }),
        act: None,
        via: Vec::new(),
        attributes: shown_attributes(ctx, grant.person.attributes, &sight)?,
        scope,
    })
}

/// OpenID Connect Core, 2 and 3.1.3.6, beside the access token of these claims.
fn id_token(
    ctx: &Ctx,
    client: &Client,
    grant: &Grant<'_>,
    access: AccessClaims,
    access_token: &str,
) -> Result<String> {
    let signer = ctx.signer(client.settings.id_token_signed_response_alg)?;
    let session = access.session.ok_or_else(|| Error::internal("an ID token is of a session"))?;
    let asked = ClaimsRequest::of_column(grant.claims)?;
    let claims = IdClaims {
        iss: access.iss,
        sub: access.sub,
        aud: access.client_id,
        exp: (access.iat + client.settings.validity.id_token).min(grant.expires_at.unix()),
        iat: access.iat,
        auth_time: session.auth_time,
        sid: session.sid,
        acr: session.acr,
        amr: session.amr,
        at_hash: token_hash(signer.alg(), access_token),
        nonce: grant.nonce.map(str::to_owned),
        sandbox: access.sandbox,
        more: Shown::default().and(&asked.id_token).of(&grant.person)?,
    };
    signer.sign("JWT", &claims)
}

/// The attributes whose definition puts them into access tokens, as far as the client sees them.
fn shown_attributes(ctx: &Ctx, attributes: &str, sight: &Sight<'_>) -> Result<Map<String, Value>> {
    let definitions = &ctx.entry.definitions;
    if attributes == "{}" || !definitions.iter().any(|definition| definition.in_access_token) {
        return Ok(Map::new());
    }
    let mut attributes: Map<String, Value> = serde_json::from_str(attributes).map_err(Error::internal)?;
    let is_carried = |name: &str| definitions.iter().any(|known| known.in_access_token && known.name == name);
    attributes.retain(|name, _| is_carried(name) && sight.reaches_attribute(name));
    Ok(attributes)
}
