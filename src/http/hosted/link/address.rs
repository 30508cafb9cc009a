//! A mail address is proved: one button.

use askama::Template;
use axum::response::Response;

use super::Shown;
use crate::error::Result;
use crate::http::hosted::frame::Frame;
use crate::http::hosted::note::note;
use crate::http::hosted::page::Page;
use crate::http::hosted::pages;
use crate::identity::addresses;
use crate::identity::links::{Found, Kind};
use crate::texts::Texts;

#[derive(Template)]
#[template(path = "confirm_address.html")]
struct ConfirmAddressPage<'a> {
    t: &'static Texts,
    frame: Frame<'a>,
    action: &'a str,
    request: &'a str,
    address: &'a str,
    /// Whether it takes the place of another one.
    moves: bool,
}

pub fn render(shown: &Shown<'_>, kind: Kind) -> Result<Response> {
    let page = ConfirmAddressPage {
        t: shown.ctx.texts,
        frame: Frame::of(shown.ctx),
        action: &shown.action,
        request: &shown.request,
        address: &shown.found.content.address,
        moves: kind == Kind::ChangeAddress,
    };
    pages::html(200, &page, &[])
}

/// `None`: the link is no longer good.
pub async fn submit(page: &Page, kind: Kind, found: &Found) -> Result<Option<Response>> {
    let ctx = &page.ctx;
    if !addresses::confirm(ctx, found, &page.call.origin()).await? {
        return Ok(None);
    }
    let t = &ctx.texts.confirm_address;
    let message = if kind == Kind::ChangeAddress { &t.moved } else { &t.verified };
    note(ctx, 200, &t.done_title, message, None).map(Some)
}
