//! The pages that people see, and the headers they are sent with.

use askama::Template;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::frame::{Frame, in_language};
use super::passkey::PasskeyForm;
use super::policy::content_security_policy;
use crate::app::Ctx;
use crate::error::{Code, Error, Result};
use crate::http::answer::request_id;
use crate::texts::Texts;

/// Asks for a username and a password, and says which application is waiting.
#[derive(Template)]
#[template(path = "sign_in.html")]
pub struct SignInPage<'a> {
    pub t: &'static Texts,
    pub frame: Frame<'a>,
    /// `None`: the person comes for themselves.
    pub client_name: Option<&'a str>,
    /// Where the form is posted to.
    pub action: &'a str,
    /// What the sign-in is for, sealed, carried in a hidden field.
    pub request: &'a str,
    /// What was typed before, or the login hint.
    pub username: &'a str,
    /// Whether it is known who that is, and nobody else will do.
    pub is_known: bool,
    /// Must read the same whether or not the account exists.
    pub error: Option<&'a str>,
    /// Where a forgotten password is replaced.
    pub forgotten: &'a str,
    /// Where an account is made, if anybody may.
    pub sign_up: Option<&'a str>,
    /// What the address bar shows when the page is ours.
    pub host: &'a str,
    /// Where a passkey alone signs in.
    pub passkey: Option<PasskeyForm>,
}

impl SignInPage<'_> {
    /// What browsers offer in the field for the user name (Web Authentication, 5.1.6).
    fn autocomplete(&self) -> &'static str {
        if self.passkey.is_some() { "username webauthn" } else { "username" }
    }
}

/// Offers the account that is signed in, or another one.
#[derive(Template)]
#[template(path = "select_account.html")]
pub struct SelectAccountPage<'a> {
    pub t: &'static Texts,
    pub frame: Frame<'a>,
    pub client_name: &'a str,
    pub action: &'a str,
    /// Sealed, as in [`SignInPage`].
    pub request: &'a str,
    pub username: &'a str,
}

/// Says what an application of others asks for.
#[derive(Template)]
#[template(path = "consent.html")]
pub struct ConsentPage<'a> {
    pub t: &'static Texts,
    pub frame: Frame<'a>,
    pub client_name: &'a str,
    pub client_uri: Option<&'a str>,
    pub policy_uri: Option<&'a str>,
    pub tos_uri: Option<&'a str>,
    pub action: &'a str,
    /// Sealed, as in [`SignInPage`].
    pub request: &'a str,
    pub username: &'a str,
    /// Lines that go on from "It will be able to".
    pub allowances: &'a [String],
    /// Names of the resource servers.
    pub servers: &'a [String],
    /// The host that the browser goes on to.
    pub back: &'a str,
}

/// Carries the answer to the application by POST.
#[derive(Template)]
#[template(path = "form_post.html")]
pub struct FormPostPage<'a> {
    pub t: &'static Texts,
    pub frame: Frame<'a>,
    /// The redirect URI.
    pub action: &'a str,
    pub pairs: &'a [(&'a str, &'a str)],
    /// Presses the button.
    pub script: &'a str,
}

/// Says that this browser is signed in, and shows the way to the application.
#[derive(Template)]
#[template(path = "signed_in.html")]
pub struct SignedInPage<'a> {
    pub t: &'static Texts,
    pub frame: Frame<'a>,
    pub client_name: &'a str,
    /// Where the application lives, if that is on the web.
    pub application: Option<&'a str>,
    /// Where somebody else signs in.
    pub other: &'a str,
}

/// Asks for the code that a device shows.
#[derive(Template)]
#[template(path = "device_code.html")]
pub struct DeviceCodePage<'a> {
    pub t: &'static Texts,
    pub frame: Frame<'a>,
    pub action: &'a str,
    /// Sealed, as in [`SignInPage`].
    pub request: &'a str,
    /// What was typed before, or came with the link.
    pub code: &'a str,
    /// Must read the same for a code that is unknown, expired or used.
    pub error: Option<&'a str>,
}

/// Asks whether the device may go on: which application, for what, as whom.
#[derive(Template)]
#[template(path = "device_confirm.html")]
pub struct DeviceConfirmPage<'a> {
    pub t: &'static Texts,
    pub frame: Frame<'a>,
    pub client_name: &'a str,
    pub action: &'a str,
    /// Sealed, as in [`SignInPage`].
    pub request: &'a str,
    /// To be compared with what the device shows.
    pub code: &'a str,
    pub username: &'a str,
    /// Where somebody else signs in.
    pub other: &'a str,
    pub scopes: &'a [String],
    /// The APIs that it may use.
    pub servers: &'a [String],
    /// Whether it may do whatever the person may as an admin.
    pub is_for_admins: bool,
}

/// Says what became of it.
#[derive(Template)]
#[template(path = "device_done.html")]
pub struct DeviceDonePage<'a> {
    pub t: &'static Texts,
    pub frame: Frame<'a>,
    pub title: &'a str,
    pub message: &'a str,
}

/// What happened and what to do, when there is nobody to redirect to.
#[derive(Template)]
#[template(path = "error.html")]
pub struct ErrorPage<'a> {
    pub t: &'static Texts,
    pub frame: Frame<'a>,
    pub title: &'a str,
    pub message: &'a str,
    /// Where the sign-in starts anew, if that is known.
    pub again: Option<&'a str>,
    pub request_id: &'a str,
}

/// Stands in for an application at the development server's redirect URI.
#[derive(Template)]
#[template(path = "demo_callback.html")]
pub struct DemoCallbackPage<'a> {
    pub t: &'static Texts,
    pub frame: Frame<'a>,
    pub code: Option<&'a str>,
    pub error: Option<&'a str>,
    pub error_description: Option<&'a str>,
    /// The name of the client that the code is for.
    pub client: &'a str,
    /// The command that exchanges the code for tokens.
    pub line: &'a str,
    /// Why the code is of no use any more.
    pub lost: Option<&'a str>,
    pub login_link: Option<&'a str>,
}

/// A page with its security headers. There is no Cross-Origin-Opener-Policy: an application may open the sign-in in a
/// window of its own and wait for it.
pub fn html(status: u16, page: &impl Template, form_targets: &[String]) -> Result<Response> {
    with_policy(status, page, &content_security_policy(form_targets))
}

/// Like [`html`], under a policy of its own.
pub fn with_policy(status: u16, page: &impl Template, policy: &str) -> Result<Response> {
    let body = page.render().map_err(Error::internal)?;
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    set(headers, header::CONTENT_TYPE, "text/html; charset=utf-8");
    set(headers, header::CACHE_CONTROL, "no-store");
    set(headers, header::REFERRER_POLICY, "no-referrer");
    set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(headers, header::X_FRAME_OPTIONS, "DENY");
    set(
        headers,
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    );
    // Only characters that a header may carry get into the policy; were that ever wrong, nothing is allowed.
    let policy = HeaderValue::from_str(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.insert(name, HeaderValue::from_static(value));
}

/// What went wrong, in words for people.
pub fn error(frame: Frame<'_>, error: &Error) -> Response {
    super::log_cause(error);
    let t = frame.t;
    let (title, message) = match error.code() {
        Code::NotFound => (&t.errors.nothing_title, t.errors.nothing.as_str()),
        Code::PayloadTooLarge => (&t.errors.failed_title, t.errors.too_large.as_str()),
        Code::TemporarilyUnavailable => (&t.errors.busy_title, t.errors.busy.as_str()),
        Code::ServerError => (&t.errors.ours_title, t.errors.ours.as_str()),
        _ => (&t.errors.failed_title, told(t, error)),
    };
    let title = title.as_str();
    let page = ErrorPage { t, frame, title, message, again: None, request_id: &request_id() };
    let mut response = html(error.code().status(), &page, &[]).unwrap_or_else(IntoResponse::into_response);
    response.extensions_mut().insert(error.code());
    if let Some(seconds) = error.retry_after() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// What an error says to a person; in English, where it speaks to applications only.
pub fn told<'a>(t: &'static Texts, error: &'a Error) -> &'a str {
    error.text().map_or(error.description(), |text| text(t).as_str())
}

/// A form that is no longer good, with the way to a new one.
pub fn stale(ctx: &Ctx, again: &str) -> Result<Response> {
    let t = ctx.texts;
    let page = ErrorPage {
        t,
        frame: Frame::of(ctx),
        title: t.errors.stale_title.as_str(),
        message: t.errors.stale.as_str(),
        again: Some(&in_language(ctx, again)),
        request_id: &ctx.request_id,
    };
    html(400, &page, &[])
}

#[cfg(test)]
mod tests;
