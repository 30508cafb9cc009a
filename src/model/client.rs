//! An application registered in a project. Field names follow RFC 7591 where it has them.

use serde::{Deserialize, Serialize};
use sqlx::FromRow;

use super::timestamp::Timestamp;
use crate::error::{Error, Result};
use crate::ids::ClientId;

/// What an admin may set on a client: one JSON document in the store.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientSettings {
    pub redirect_uris: Vec<String>,
    /// Where the application starts a sign-in of its own (OpenID Connect Core, 4).
    pub initiate_login_uri: Option<String>,
    pub first_party: bool,
    pub require_pkce: bool,
    /// `None`: on for public clients, off for confidential ones (FAPI 2.0, 5.3.2.1).
    pub refresh_rotation: Option<bool>,
    pub refresh_retry: RefreshRetry,
    /// Seconds in which a lost refresh response may be asked for again.
    pub refresh_grace_seconds: i64,
    pub audience: Option<String>,
    pub validity: Validity,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            redirect_uris: Vec::new(),
            initiate_login_uri: None,
            first_party: true,
            require_pkce: true,
            refresh_rotation: None,
            refresh_retry: RefreshRetry::Window,
            refresh_grace_seconds: 30,
            audience: None,
            validity: Validity::default(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefreshRetry {
    Window,
    UntilUsed,
}

/// Lifetimes in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validity {
    pub access_token: i64,
    pub id_token: i64,
    pub refresh_token: i64,
    pub refresh_idle: i64,
}

impl Default for Validity {
    fn default() -> Self {
        Self { access_token: 3600, id_token: 3600, refresh_token: 30 * 86_400, refresh_idle: 30 * 86_400 }
    }
}

impl Validity {
    /// Access and ID tokens 5 minutes to 24 hours, refresh tokens 1 hour to 30 days.
    ///
    /// # Errors
    /// `invalid_request` naming the first field out of bounds.
    pub fn check(&self) -> Result<()> {
        let bounds = [
            ("access_token", self.access_token, 300, 86_400, "5 minutes and 24 hours"),
            ("id_token", self.id_token, 300, 86_400, "5 minutes and 24 hours"),
            ("refresh_token", self.refresh_token, 3600, 2_592_000, "1 hour and 30 days"),
            ("refresh_idle", self.refresh_idle, 3600, 2_592_000, "1 hour and 30 days"),
        ];
        for (field, value, least, most, words) in bounds {
            if !(least..=most).contains(&value) {
                return Err(Error::invalid_field(field, format!("{field} must lie between {words}")));
            }
        }
        Ok(())
    }
}

/// A client as the store holds it.
#[derive(Clone, Debug, FromRow)]
pub struct ClientRow {
    pub id: ClientId,
    pub client_name: String,
    #[sqlx(rename = "type")]
    pub kind: String,
    pub status: String,
    pub token_epoch: i64,
    pub version: i64,
    pub settings: String,
    pub created_at: Timestamp,
}

/// A client with its settings read.
#[derive(Clone, Debug)]
pub struct Client {
    pub id: ClientId,
    pub name: String,
    pub kind: String,
    pub status: String,
    pub token_epoch: i64,
    pub version: i64,
    pub settings: ClientSettings,
}

impl TryFrom<ClientRow> for Client {
    type Error = Error;
    fn try_from(row: ClientRow) -> Result<Self> {
        let settings = serde_json::from_str(&row.settings).map_err(Error::internal)?;
        Ok(Self {
            id: row.id,
            name: row.client_name,
            kind: row.kind,
            status: row.status,
            token_epoch: row.token_epoch,
            version: row.version,
            settings,
        })
    }
}

impl Client {
    pub fn is_public(&self) -> bool {
        self.kind == "public"
    }

    pub fn is_active(&self) -> bool {
        self.status == "active"
    }

    /// Exact string comparison, nothing else (RFC 9700, 4.1.3).
    pub fn allows_redirect(&self, uri: &str) -> bool {
        self.settings.redirect_uris.iter().any(|registered| registered == uri)
    }

    /// Public clients always prove possession of the code's verifier (RFC 9700, 2.1.1).
    pub fn requires_pkce(&self) -> bool {
        self.is_public() || self.settings.require_pkce
    }

    pub fn rotates_refresh_tokens(&self) -> bool {
        self.settings.refresh_rotation.unwrap_or_else(|| self.is_public())
    }

    /// The `aud` of its access tokens (RFC 9068, 2.2).
    pub fn audience(&self) -> String {
        self.settings.audience.clone().unwrap_or_else(|| self.id.to_string())
    }
}

/// A redirect URI that may be registered: absolute, without a fragment (RFC 6749, 3.1.2), https or loopback http,
/// or a private-use scheme that contains a dot (RFC 8252, 7.1).
///
/// # Errors
/// `invalid_request` naming the bound.
pub fn check_redirect_uri(uri: &str) -> Result<()> {
    let refuse = |why: &'static str| Err(Error::invalid_field("redirect_uris", why));
    if uri.len() > 2048 || !uri.bytes().all(|b| b.is_ascii_graphic()) {
        return refuse("a redirect URI has at most 2048 visible ASCII characters");
    }
    let Ok(url) = url::Url::parse(uri) else { return refuse("a redirect URI must be an absolute URI") };
    if uri.contains('#') || !url.username().is_empty() || url.password().is_some() {
        return refuse("a redirect URI has neither fragment nor user information");
    }
    match url.scheme() {
        "http" | "https" if is_web(&url) => Ok(()),
        scheme if scheme.contains('.') => Ok(()),
        _ => {
            refuse("a redirect URI is https, http on a loopback address, or a private-use scheme with a dot")
        }
    }
}

/// Where an application starts a sign-in: https (OpenID Connect Core, 4), or http on a loopback address.
///
/// # Errors
/// `invalid_request` naming the bound.
pub fn check_initiate_login_uri(uri: &str) -> Result<()> {
    let visible = uri.len() <= 2048 && uri.bytes().all(|b| b.is_ascii_graphic()) && !uri.contains('#');
    let web = url::Url::parse(uri)
        .is_ok_and(|url| is_web(&url) && url.username().is_empty() && url.password().is_none());
    if visible && web {
        return Ok(());
    }
    Err(Error::invalid_field(
        "initiate_login_uri",
        "initiate_login_uri is https or http on a loopback address, of at most 2048 visible ASCII characters, without fragment or user information",
    ))
}

fn is_web(url: &url::Url) -> bool {
    match url.scheme() {
        "https" => true,
        "http" => matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirect_uris_that_may_be_registered() {
        for good in ["https://app.example/cb?x=1", "http://127.0.0.1:8080/cb", "com.example.app:/cb"] {
            assert!(check_redirect_uri(good).is_ok(), "{good}");
        }
        for bad in [
            "/cb",
            "http://app.example/cb",
            "https://a/#f",
            "https://u@a/",
            "javascript:alert(1)",
            "https://a/\r\n",
        ] {
            assert!(check_redirect_uri(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn initiate_login_uris_are_of_the_web() {
        for good in ["https://app.example/login?tenant=1", "http://localhost:3000/login"] {
            assert!(check_initiate_login_uri(good).is_ok(), "{good}");
        }
        for bad in ["/login", "http://app.example/", "com.example.app:/login", "https://a/#f", "https://u@a/"]
        {
            assert!(check_initiate_login_uri(bad).is_err(), "{bad}");
        }
    }
}
