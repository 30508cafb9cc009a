//! The one cookie per project: it binds the form before the sign-in and names the browser session after it. The value is
//! another one after each proof, so a value that somebody planted before is worth nothing. A browser that is remembered has
//! a second one, and one in which somebody has signed in a third; these name nobody and let nobody in.

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;

use crate::app::Ctx;
use crate::error::{Error, Result};
use crate::identity::devices::NewDevice;
use crate::identity::known::KNOWN_SECONDS;
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
    value_of(&name(ctx), headers)
}

/// The value that says that this browser is remembered.
pub fn read_device(ctx: &Ctx, headers: &HeaderMap) -> Option<Secret> {
    value_of(&device_name(ctx), headers)
}

fn device_name(ctx: &Ctx) -> String {
    format!("{}-device", name(ctx))
}

/// The value that says that somebody has signed in here before.
pub fn read_known(ctx: &Ctx, headers: &HeaderMap) -> Option<Secret> {
    value_of(&known_name(ctx), headers)
}

fn known_name(ctx: &Ctx) -> String {
    format!("{}-known", name(ctx))
}

fn value_of(name: &str, headers: &HeaderMap) -> Option<Secret> {
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
    header_of(ctx, &name(ctx), value.expose(), BROWSER_SESSION_SECONDS)
}

/// For as long as the device is remembered.
pub fn set_device(ctx: &Ctx, device: &NewDevice) -> Result<HeaderValue> {
    header_of(ctx, &device_name(ctx), device.cookie.expose(), device.lives())
}

/// For as long as the browser is known.
pub fn set_known(ctx: &Ctx, value: &Secret) -> Result<HeaderValue> {
    header_of(ctx, &known_name(ctx), value.expose(), KNOWN_SECONDS)
}

/// Takes the cookie out of the browser.
pub fn remove(ctx: &Ctx) -> Result<HeaderValue> {
    header_of(ctx, &name(ctx), "", 0)
}

fn header_of(ctx: &Ctx, name: &str, value: &str, seconds: i64) -> Result<HeaderValue> {
    let scope = match is_https(ctx) {
        true => "Path=/; Secure".to_owned(),
        false => format!("Path=/projects/{}", ctx.project.slug),
    };
    let text = format!("{name}={value}; {scope}; HttpOnly; SameSite=Lax; Max-Age={seconds}");
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
