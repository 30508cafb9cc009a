//! What an application says of itself (RFC 7591, 2), as the settings of a client, and back again.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::error::{Code, Error, Result};
use crate::model::client::{ACCOUNT, AuthMethod, Client, ClientKind, ClientSettings, GrantType, SCOPES};
use crate::model::merge::{merged, wrong_member};
use crate::model::signing_key::Alg;

/// What an application decides about itself. All other settings are an admin's: `first_party` and `require_pkce` among them.
const MEMBERS: [&str; 24] = [
    "redirect_uris",
    "grant_types",
    "token_endpoint_auth_method",
    "token_endpoint_auth_signing_alg",
    "jwks",
    "jwks_uri",
    "scope",
    "client_uri",
    "policy_uri",
    "tos_uri",
    "default_max_age",
    "subject_type",
    "sector_identifier_uri",
    "initiate_login_uri",
    "require_pushed_authorization_requests",
    "dpop_bound_access_tokens",
    "id_token_signed_response_alg",
    "userinfo_signed_response_alg",
    "introspection_signed_response_alg",
    "require_signed_request_object",
    "request_object_signing_alg",
    "post_logout_redirect_uris",
    "backchannel_logout_uri",
    "backchannel_logout_session_required",
];

/// To leave these out would leave an application with less protection than it asked for.
const UNSUPPORTED: [&str; 5] = [
    "id_token_encrypted_response_alg",
    "userinfo_encrypted_response_alg",
    "introspection_encrypted_response_alg",
    "authorization_signed_response_alg",
    "tls_client_certificate_bound_access_tokens",
];

/// Metadata that was checked.
pub struct Metadata {
    pub name: Option<String>,
    pub kind: ClientKind,
    pub settings: ClientSettings,
}

/// Reads what an application says of itself; what is left out, or null, is as RFC 7591 has it. Members that we do not know
/// are passed over (RFC 7591, 2). `old`: in whose place it stands, of which the rest stays.
///
/// # Errors
/// `invalid_redirect_uri` and `invalid_client_metadata` (RFC 7591, 3.2.2), naming the member.
pub fn read(old: Option<&Client>, given: Map<String, Value>) -> Result<Metadata> {
    checked(old, given).map_err(of_metadata)
}

fn checked(old: Option<&Client>, mut given: Map<String, Value>) -> Result<Metadata> {
    given.retain(|_, value| !value.is_null());
    if let Some(name) = UNSUPPORTED.into_iter().find(|name| given.get(*name).is_some_and(|v| *v != false)) {
        return Err(Error::invalid_field(name, format!("{name} is not supported")));
    }
    let named =
        MEMBERS.iter().filter_map(|name| given.remove(*name).map(|value| ((*name).to_owned(), value)));
    let mut settings = merged(&usual(old)?, &named.collect(), "")?;
    let method = settings.token_endpoint_auth_method;
    let kind = if method == Some(AuthMethod::None) { ClientKind::Public } else { ClientKind::Confidential };
    if method != Some(AuthMethod::PrivateKeyJwt) {
        settings.token_endpoint_auth_signing_alg = None;
        // Keys for what we never check, such as encryption.
        if !settings.require_signed_request_object && settings.request_object_signing_alg.is_none() {
            (settings.jwks, settings.jwks_uri) = (None, None);
        }
    }
    let metadata = Metadata { name: taken(&mut given, "client_name")?, kind, settings };
    check_method(old, &metadata)?;
    check_grants(&metadata.settings, taken(&mut given, "response_types")?)?;
    check_scope(old, &metadata.settings)?;
    metadata.settings.check(kind)?;
    Ok(metadata)
}

/// What an application gets that says nothing: RFC 7591, 2; for ID tokens OpenID Connect Registration, 2.
fn usual(old: Option<&Client>) -> Result<ClientSettings> {
    let usual = ClientSettings {
        grant_types: vec![GrantType::AuthorizationCode],
        token_endpoint_auth_method: Some(AuthMethod::ClientSecretBasic),
        scope: Some(open_scopes().collect::<Vec<_>>().join(" ")),
        first_party: false,
        id_token_signed_response_alg: Alg::RS256,
        ..ClientSettings::default()
    };
    match old {
        Some(old) => merged(&old.settings, &decided(&usual)?, ""),
        None => Ok(usual),
    }
}

/// Scopes that nobody has to grant.
fn open_scopes() -> impl Iterator<Item = &'static str> {
    SCOPES.into_iter().filter(|scope| *scope != ACCOUNT)
}

/// The members that an application decides.
pub fn decided(settings: &ClientSettings) -> Result<Map<String, Value>> {
    match serde_json::to_value(settings).map_err(Error::internal)? {
        Value::Object(mut all) => {
            all.retain(|name, _| MEMBERS.contains(&name.as_str()));
            Ok(all)
        }
        _ => Err(Error::internal("settings are a JSON object")),
    }
}

fn taken<T: DeserializeOwned>(given: &mut Map<String, Value>, name: &'static str) -> Result<Option<T>> {
    let Some(value) = given.remove(name) else { return Ok(None) };
    T::deserialize(&value).map(Some).map_err(|error| wrong_member(name, &value, &error))
}

/// Whether a client has a secret is settled when it is made.
fn check_method(old: Option<&Client>, new: &Metadata) -> Result<()> {
    let has_key =
        |settings: &ClientSettings| settings.token_endpoint_auth_method == Some(AuthMethod::PrivateKeyJwt);
    match old {
        Some(old) if old.kind != new.kind || has_key(&old.settings) != has_key(&new.settings) => {
            let why = "token_endpoint_auth_method changes from one way of sending a secret to the other only";
            Err(Error::invalid_field("token_endpoint_auth_method", why))
        }
        _ => Ok(()),
    }
}

/// RFC 7591, 2.1: grants, response types and redirect URIs go together.
fn check_grants(settings: &ClientSettings, response_types: Option<Vec<String>>) -> Result<()> {
    if settings.grant_types.contains(&GrantType::TokenExchange) {
        let why = "grant_types of a client that registers itself has no token exchange";
        return Err(Error::invalid_field("grant_types", why));
    }
    let by_code = settings.grant_types.contains(&GrantType::AuthorizationCode);
    let fits = match &response_types {
        Some(types) if by_code => !types.is_empty() && types.iter().all(|one| one == "code"),
        Some(types) => types.is_empty(),
        None => true,
    };
    if !fits {
        let why = "response_types is code with the grant authorization_code, and empty without it";
        return Err(Error::invalid_field("response_types", why));
    }
    if by_code && settings.redirect_uris.is_empty() {
        let why = "redirect_uris has at least one entry with the grant authorization_code";
        return Err(Error::invalid_field("redirect_uris", why));
    }
    Ok(())
}

/// Scopes of the project's own may be worth a lot, so an admin grants them; what one has granted stays.
fn check_scope(old: Option<&Client>, settings: &ClientSettings) -> Result<()> {
    let words = |settings: &ClientSettings| settings.scope.clone().unwrap_or_default();
    let had = old.map(|old| words(&old.settings)).unwrap_or_default();
    let open = |word: &str| open_scopes().any(|scope| scope == word) || had.split(' ').any(|one| one == word);
    if words(settings).split(' ').all(|word| !word.is_empty() && open(word)) {
        return Ok(());
    }
    let known = open_scopes().collect::<Vec<_>>().join(" ");
    let why =
        format!("scope of a client that registers itself names some of {known}, separated by one space");
    Err(Error::invalid_field("scope", why))
}

/// A fault of one member, by the words of RFC 7591, 3.2.2.
pub fn of_metadata(error: Error) -> Error {
    let field = error.field().map(str::to_owned);
    match (error.code(), field) {
        (Code::InvalidRequest, Some(field)) => {
            let is_redirect = field == "redirect_uris";
            let code = if is_redirect { Code::InvalidRedirectUri } else { Code::InvalidClientMetadata };
            Error::new(code, error.description().to_owned()).with_field(field)
        }
        _ => error,
    }
}

/// All registered metadata (RFC 7591, 3.2.1), and where they are managed (RFC 7592, 3).
pub fn shown(issuer: &str, client: &Client) -> Result<Map<String, Value>> {
    let mut shown = decided(&client.settings)?;
    shown.retain(|_, value| !value.is_null());
    let by_code = client.may_use(GrantType::AuthorizationCode);
    let more = [
        ("client_id", json!(client.id)),
        ("client_id_issued_at", json!(client.created_at.unix())),
        ("client_name", json!(client.name)),
        ("response_types", if by_code { json!(["code"]) } else { json!([]) }),
        ("registration_client_uri", json!(format!("{issuer}/oauth2/register/{}", client.id))),
    ];
    shown.extend(more.map(|(name, value)| (name.to_owned(), value)));
    Ok(shown)
}
