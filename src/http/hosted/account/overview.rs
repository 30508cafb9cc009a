//! `account`: who is signed in, and the way to everything else.

use askama::Template;
use axum::response::Response;

use super::enter::{Visitor, enter};
use super::place::Place;
use super::shell::{Shell, notice};
use crate::error::Result;
use crate::http::hosted::frame::{Frame, in_language};
use crate::http::hosted::page::Page;
use crate::http::hosted::{cookie, pages};
use crate::texts::Texts;

#[derive(Template)]
#[template(path = "account/overview.html")]
struct Overview<'a> {
    t: &'static Texts,
    frame: Frame<'a>,
    shell: Shell,
    username: &'a str,
    name: Option<&'a str>,
    email: Option<&'a str>,
    email_verified: bool,
    sign_out: String,
}

pub async fn show(page: Page) -> Response {
    page.answer(shown(&page).await)
}

async fn shown(page: &Page) -> Result<Response> {
    match enter(page, Place::Overview).await? {
        Ok(visitor) => render(page, &visitor),
        Err(response) => Ok(response),
    }
}

fn render(page: &Page, visitor: &Visitor) -> Result<Response> {
    let ctx = &page.ctx;
    cookie::bind(ctx, Some(visitor.cookie.clone()), |_| {
        let shown = Overview {
            t: ctx.texts,
            frame: Frame::of(ctx),
            shell: Shell::new(ctx, Place::Overview, notice(page), None),
            username: visitor.username(),
            name: visitor.user.profile.get("name").and_then(|name| name.as_str()),
            email: visitor.user.email.as_deref(),
            email_verified: visitor.user.email_verified,
            sign_out: in_language(ctx, &format!("/projects/{}/oauth2/logout", ctx.project.slug)),
        };
        pages::html(200, &shown, &[])
    })
}
