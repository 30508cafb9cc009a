//! The one cookie per project: it binds the form before the sign-in and names the browser session after it. The value is
//! another one after each sign-in, so a value that somebody planted before is worth nothing.

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;

use crate::app::Ctx;
use crate::error::{Error, Result};
use crate::identity::sign_in::BROWSER_SESSION_SECONDS;
use crate::secret::{Secret, sha256};

fn is_https(ctx: &Ctx) -> bool {
    ctx.app.base_url.starts_with("https://")
}

/// One name per project, whose id nobody chooses. Browsers drop `__Host-` without Secure, so plain http on loopback has a name and a path of its own.
fn name(ctx: &Ctx) -> String {
    let hash: String =
        sha256(ctx.project.id.0.as_bytes())[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}tessera-{hash}", if is_https(ctx) { "__Host-" } else { "" })
}

/// The cookie's value, when it has the form of one of ours.
pub fn read(ctx: &Ctx, headers: &HeaderMap) -> Option<Secret> {
    let name = name(ctx);
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, value)| *key == name && value.len() == 43 && value.bytes().all(|b| b.is_ascii_graphic()))
        .map(|(_, value)| Secret::new(value))
}

/// For an hour from now, which is as long as a form lives. How long a sign-in is worth something is no matter of the cookie:
/// the server ends the session an hour after it began, however often its name is set again.
pub fn set(ctx: &Ctx, value: &Secret) -> Result<HeaderValue> {
    header_of(ctx, value.expose(), BROWSER_SESSION_SECONDS)
}

/// Takes the cookie out of the browser.
pub fn remove(ctx: &Ctx) -> Result<HeaderValue> {
    header_of(ctx, "", 0)
}

fn header_of(ctx: &Ctx, value: &str, seconds: i64) -> Result<HeaderValue> {
    let scope = match is_https(ctx) {
        true => "Path=/; Secure".to_owned(),
        false => format!("Path=/projects/{}", ctx.project.slug),
    };
    let text = format!("{}={value}; {scope}; HttpOnly; SameSite=Lax; Max-Age={seconds}", name(ctx));
    let mut header = HeaderValue::from_str(&text).map_err(Error::internal)?;
    header.set_sensitive(true);
    Ok(header)
}

/// What is shown, bound to the browser's cookie; a browser without one gets one that proves nothing yet. The cookie is set
/// again with each form, or it would end while the form is open.
pub fn bind(
    ctx: &Ctx,
    cookie: Option<Secret>,
    show: impl FnOnce(&Secret) -> Result<Response>,
) -> Result<Response> {
    let cookie = match cookie {
        Some(cookie) => cookie,
        None => ctx.app.entropy.token("")?,
    };
    let mut response = show(&cookie)?;
    response.headers_mut().insert(header::SET_COOKIE, set(ctx, &cookie)?);
    Ok(response)
}
