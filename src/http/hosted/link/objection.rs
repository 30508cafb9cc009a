//! Somebody objects to the deletion of their account: one button.

use askama::Template;
use axum::response::Response;

use super::Shown;
use crate::app::Ctx;
use crate::error::Result;
use crate::http::hosted::frame::Frame;
use crate::http::hosted::note::note;
use crate::http::hosted::page::Page;
use crate::http::hosted::pages;
use crate::identity::links::Found;
use crate::session::delete_user;
use crate::texts::Texts;

#[derive(Template)]
#[template(path = "objection.html")]
struct ObjectionPage<'a> {
    t: &'static Texts,
    frame: Frame<'a>,
    action: &'a str,
    request: &'a str,
    username: &'a str,
    /// When the account would go.
    date: &'a str,
}

/// When what the link objects to would happen; `None` for other links.
pub async fn date(ctx: &Ctx, found: &Found) -> Result<Option<String>> {
    if found.objection().is_none() {
        return Ok(None);
    }
    delete_user::objected_to(ctx, found).await.map(|at| Some(at.to_the_minute()))
}

pub fn render(shown: &Shown<'_>, username: &str, date: &str) -> Result<Response> {
    let page = ObjectionPage {
        t: shown.ctx.texts,
        frame: Frame::of(shown.ctx),
        action: &shown.action,
        request: &shown.request,
        username,
        date,
    };
    pages::html(200, &page, &[])
}

/// `None`: the link is no longer good.
pub async fn submit(page: &Page, found: &Found) -> Result<Option<Response>> {
    let ctx = &page.ctx;
    if !delete_user::object(ctx, found, &page.call.origin()).await? {
        return Ok(None);
    }
    let t = &ctx.texts.objection;
    note(ctx, 200, &t.done_title, &t.done, None).map(Some)
}
