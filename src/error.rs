//! The one error of the application. It speaks to two readers: the caller gets a code and a description,
//! the operator gets the cause in the log. `http` renders it; nothing here knows axum.

use std::borrow::Cow;

use crate::texts::{self, Which};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, by the word the specifications have for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    UnauthorizedClient,
    UnsupportedGrantType,
    UnsupportedResponseType,
    InvalidScope,
    InvalidTarget,
    LoginRequired,
    ConsentRequired,
    InteractionRequired,
    AccessDenied,
    UnmetAuthenticationRequirements,
    InvalidRequestObject,
    RequestUriNotSupported,
    RegistrationNotSupported,
    InvalidRedirectUri,
    InvalidClientMetadata,
    InvalidToken,
    AuthorizationPending,
    SlowDown,
    ExpiredToken,
    InvalidDpopProof,
    UseDpopNonce,
    InsufficientScope,
    InsufficientUserAuthentication,
    Forbidden,
    ConfirmationFailed,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    Conflict,
    LegalHold,
    DeletionProtection,
    PreconditionFailed,
    PayloadTooLarge,
    UnsupportedMediaType,
    TemporarilyUnavailable,
    ServerError,
}

impl Code {
    /// The text on the wire and the HTTP status: RFC 6749, 5.2 and RFC 6750, 3.1 where they have the code.
    pub const fn parts(self) -> (&'static str, u16) {
        match self {
            Self::InvalidRequest => ("invalid_request", 400),
            Self::InvalidClient => ("invalid_client", 401),
            Self::InvalidGrant => ("invalid_grant", 400),
            Self::UnauthorizedClient => ("unauthorized_client", 400),
            Self::UnsupportedGrantType => ("unsupported_grant_type", 400),
            Self::UnsupportedResponseType => ("unsupported_response_type", 400),
            Self::InvalidScope => ("invalid_scope", 400),
            // RFC 8693, 2.2.2 and RFC 8707, 2.
            Self::InvalidTarget => ("invalid_target", 400),
            // OpenID Connect Core, 3.1.2.6.
            Self::LoginRequired => ("login_required", 400),
            Self::ConsentRequired => ("consent_required", 400),
            Self::InteractionRequired => ("interaction_required", 400),
            // RFC 6749, 4.1.2.1.
            Self::AccessDenied => ("access_denied", 400),
            // OpenID Connect Core Error Code unmet_authentication_requirements 1.0.
            Self::UnmetAuthenticationRequirements => ("unmet_authentication_requirements", 400),
            // RFC 9101, 7.
            Self::InvalidRequestObject => ("invalid_request_object", 400),
            Self::RequestUriNotSupported => ("request_uri_not_supported", 400),
            Self::RegistrationNotSupported => ("registration_not_supported", 400),
            // RFC 7591, 3.2.2.
            Self::InvalidRedirectUri => ("invalid_redirect_uri", 400),
            Self::InvalidClientMetadata => ("invalid_client_metadata", 400),
            Self::InvalidToken => ("invalid_token", 401),
            // RFC 8628, 3.5.
            Self::AuthorizationPending => ("authorization_pending", 400),
            Self::SlowDown => ("slow_down", 400),
            Self::ExpiredToken => ("expired_token", 400),
            // RFC 9449, 5 and 8; at a resource it is 401.
            Self::InvalidDpopProof => ("invalid_dpop_proof", 400),
            Self::UseDpopNonce => ("use_dpop_nonce", 400),
            Self::InsufficientScope => ("insufficient_scope", 403),
            // RFC 9470, 3.
            Self::InsufficientUserAuthentication => ("insufficient_user_authentication", 401),
            Self::Forbidden => ("forbidden", 403),
            Self::ConfirmationFailed => ("confirmation_failed", 403),
            Self::NotFound => ("not_found", 404),
            Self::MethodNotAllowed => ("method_not_allowed", 405),
            Self::RequestTimeout => ("request_timeout", 408),
            Self::Conflict => ("conflict", 409),
            Self::LegalHold => ("legal_hold", 409),
            Self::DeletionProtection => ("deletion_protection", 409),
            Self::PreconditionFailed => ("precondition_failed", 412),
            Self::PayloadTooLarge => ("payload_too_large", 413),
            Self::UnsupportedMediaType => ("unsupported_media_type", 415),
            Self::TemporarilyUnavailable => ("temporarily_unavailable", 503),
            Self::ServerError => ("server_error", 500),
        }
    }

    pub const fn as_str(self) -> &'static str {
        self.parts().0
    }

    pub const fn status(self) -> u16 {
        self.parts().1
    }
}

/// A refusal or a failure. Constructors read like speech: `invalid_grant("refresh token already used")`.
#[derive(Debug, thiserror::Error)]
#[error("{}: {}", .0.code.as_str(), .0.description)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    code: Code,
    description: Cow<'static, str>,
    text: Option<Which>,
    field: Option<Cow<'static, str>>,
    retry_after: Option<u32>,
    details: Option<serde_json::Value>,
    cause: Option<anyhow::Error>,
    retry_unit: bool,
    dpop_nonce: Option<String>,
    at_resource: bool,
    carries_nothing: bool,
    not_permitted: bool,
}

impl Error {
    pub fn new(code: Code, description: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            code,
            description: description.into(),
            text: None,
            field: None,
            retry_after: None,
            details: None,
            cause: None,
            retry_unit: false,
            dpop_nonce: None,
            at_resource: false,
            carries_nothing: false,
            not_permitted: false,
        }))
    }

    /// Something to tell a person in their language; the description says it in English.
    pub fn for_people(code: Code, text: Which) -> Self {
        let mut error = Self::new(code, text(texts::english()).as_str());
        error.0.text = Some(text);
        error
    }

    /// A field of the request is wrong: names it, and the description says the bound.
    pub fn invalid_field(
        field: impl Into<Cow<'static, str>>,
        description: impl Into<Cow<'static, str>>,
    ) -> Self {
        let mut error = Self::new(Code::InvalidRequest, description);
        error.0.field = Some(field.into());
        error
    }

    /// Something that should not happen. The caller learns nothing but the request id.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        Self::new(Code::ServerError, "something went wrong on our side").caused_by(anyhow::anyhow!("{cause}"))
    }

    /// The store is away or too busy: 503, worth trying again after `retry_after` seconds.
    pub fn unavailable(retry_after: u32, cause: impl std::fmt::Display) -> Self {
        let mut error = Self::new(Code::TemporarilyUnavailable, "the service is busy; try again shortly");
        error.0.retry_after = Some(retry_after);
        error.caused_by(anyhow::anyhow!("{cause}"))
    }

    /// Somebody asks too often: 503, like [`Self::unavailable`], and nothing is wrong on our side.
    pub fn too_often(retry_after: u32, description: impl Into<Cow<'static, str>>) -> Self {
        let mut error = Self::new(Code::TemporarilyUnavailable, description);
        error.0.retry_after = Some(retry_after);
        error
    }

    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<anyhow::Error>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    #[must_use]
    pub fn with_field(mut self, field: impl Into<Cow<'static, str>>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    /// Further members of the JSON body, as an object.
    #[must_use]
    pub fn with_details(mut self, details: serde_json::Value) -> Self {
        self.0.details = Some(details);
        self
    }

    /// Marks a serialization failure or deadlock: the unit may be run again.
    #[must_use]
    pub fn retrying_unit(mut self) -> Self {
        self.0.retry_unit = true;
        self
    }

    /// The nonce that the client's next proof has to have (RFC 9449, 8).
    #[must_use]
    pub fn with_dpop_nonce(mut self, nonce: String) -> Self {
        self.0.dpop_nonce = Some(nonce);
        self
    }

    /// The refusal of an access token and what came with it: 401, with a challenge (RFC 9449, 7.1).
    #[must_use]
    pub fn at_resource(mut self) -> Self {
        self.0.at_resource = true;
        self
    }

    /// The request carried no credentials at all: the challenge says what to bring, and names no error (RFC 6750, 3.1).
    #[must_use]
    pub fn carrying_nothing(mut self) -> Self {
        self.0.carries_nothing = true;
        self
    }

    /// The database does not let this program do it.
    #[must_use]
    pub fn not_permitted(mut self) -> Self {
        self.0.not_permitted = true;
        self
    }

    pub fn code(&self) -> Code {
        self.0.code
    }
    pub fn description(&self) -> &str {
        &self.0.description
    }
    /// What a page says of it, if that is known in every language.
    pub fn text(&self) -> Option<Which> {
        self.0.text
    }
    pub fn field(&self) -> Option<&str> {
        self.0.field.as_deref()
    }
    /// Seconds after which trying again makes sense.
    pub fn retry_after(&self) -> Option<u32> {
        self.0.retry_after
    }
    pub fn details(&self) -> Option<&serde_json::Value> {
        self.0.details.as_ref()
    }
    pub fn cause(&self) -> Option<&anyhow::Error> {
        self.0.cause.as_ref()
    }
    pub fn dpop_nonce(&self) -> Option<&str> {
        self.0.dpop_nonce.as_deref()
    }
    pub fn is_at_resource(&self) -> bool {
        self.0.at_resource
    }
    pub fn carries_nothing(&self) -> bool {
        self.0.carries_nothing
    }
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self.0.code {
            Code::InvalidDpopProof | Code::UseDpopNonce if self.0.at_resource => 401,
            code => code.status(),
        }
    }
    pub fn is_not_permitted(&self) -> bool {
        self.0.not_permitted
    }
    pub fn may_retry_unit(&self) -> bool {
        self.0.retry_unit
    }
}

/// The object is no longer the one that the caller has seen: 412 when it named a version, 409 otherwise.
pub fn stale(named_version: bool) -> Error {
    match named_version {
        true => precondition_failed("it was changed since the version that If-Match names"),
        false => conflict("it was changed by somebody else at the same time; read it and try again"),
    }
}

/// `invalid_request`, for the person who sees a page.
pub fn refused(text: Which) -> Error {
    Error::for_people(Code::InvalidRequest, text)
}

macro_rules! speech {
    ($($name:ident => $code:ident),* $(,)?) => {$(
        #[doc = concat!("An error with the code of [`Code::", stringify!($code), "`].")]
        pub fn $name(description: impl Into<Cow<'static, str>>) -> Error {
            Error::new(Code::$code, description)
        }
    )*};
}

speech! {
    invalid_request => InvalidRequest,
    invalid_client => InvalidClient,
    invalid_grant => InvalidGrant,
    unauthorized_client => UnauthorizedClient,
    invalid_scope => InvalidScope,
    invalid_target => InvalidTarget,
    invalid_token => InvalidToken,
    invalid_dpop_proof => InvalidDpopProof,
    insufficient_scope => InsufficientScope,
    forbidden => Forbidden,
    not_found => NotFound,
    conflict => Conflict,
    precondition_failed => PreconditionFailed,
}
