//! The way to an application after a form. Browsers hold every redirect that follows a posted form to the `form-action` of
//! its page: ours, and those with which the application sends the browser on, to origins that nobody can name beforehand. A page
//! between ends that chain: it goes on by itself, by GET, and the policy of the form stays as narrow as it is.
//!
//! RFC 6749, 1.7 leaves the means of a redirect open. Programs are answered with 303, and so is what opens a native application,
//! which redirects nowhere.

use askama::Template;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use url::Url;

use super::frame::Frame;
use super::page::Page;
use super::pages;
use crate::app::Ctx;
use crate::error::{Error, Result};
use crate::texts::Texts;

/// Leads on by itself, and by its link where browsers are told not to.
#[derive(Template)]
#[template(path = "going_on.html")]
struct GoingOnPage<'a> {
    t: &'static Texts,
    frame: Frame<'a>,
    to: &'a str,
}

/// The answer as it is, or a page in the place of a redirect that a form of ours would hold.
pub fn unheld(page: &Page, redirect: Response) -> Result<Response> {
    let ctx = &page.ctx;
    let Some(to) = elsewhere(ctx, &redirect).filter(|_| page.is_shown_after_ours()) else {
        return Ok(redirect);
    };
    let mut shown = pages::html(200, &GoingOnPage { t: ctx.texts, frame: Frame::of(ctx), to: &to }, &[])?;
    let headers = shown.headers_mut();
    for cookie in redirect.headers().get_all(header::SET_COOKIE) {
        headers.append(header::SET_COOKIE, cookie.clone());
    }
    let refresh = HeaderValue::from_str(&format!("0; url={to}")).map_err(Error::internal)?;
    headers.insert(header::REFRESH, refresh);
    Ok(shown)
}

/// Where a redirect leads on the web, away from us.
fn elsewhere(ctx: &Ctx, redirect: &Response) -> Option<String> {
    let to = redirect.headers().get(header::LOCATION)?.to_str().ok()?;
    let is_web = matches!(Url::parse(to).ok()?.scheme(), "http" | "https");
    let is_ours = to.strip_prefix(&ctx.app.base_url).is_some_and(|path| path.starts_with('/'));
    (is_web && !is_ours).then(|| to.to_owned())
}
