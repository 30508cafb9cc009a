//! A new password for somebody who has forgotten theirs.

use askama::Template;
use axum::response::Response;

use super::{PostedLink, Shown};
use crate::app::Ctx;
use crate::error::Result;
use crate::http::hosted::faults;
use crate::http::hosted::frame::Frame;
use crate::http::hosted::note::note;
use crate::http::hosted::page::Page;
use crate::http::hosted::{cookie, pages};
use crate::identity::forgotten::{self, Chosen};
use crate::identity::links::Found;
use crate::secret::Secret;
use crate::store::users;
use crate::texts::Texts;

#[derive(Template)]
#[template(path = "new_password.html")]
struct NewPasswordPage<'a> {
    t: &'static Texts,
    frame: Frame<'a>,
    action: &'a str,
    request: &'a str,
    /// Whose it is, so that password managers know.
    username: &'a str,
    error: Option<&'a str>,
}

/// The user name of whom the link is for; empty for nobody.
pub async fn owner(ctx: &Ctx, found: &Found) -> Result<String> {
    let Some(user) = found.row.user_id else { return Ok(String::new()) };
    let row = ctx.app.db.read(|conn| async move { users::find(&conn, ctx.project.id, user).await }).await?;
    Ok(row.and_then(|row| row.username).unwrap_or_default())
}

pub fn render(shown: &Shown<'_>, username: &str, status: u16, error: Option<&str>) -> Result<Response> {
    let page = NewPasswordPage {
        t: shown.ctx.texts,
        frame: Frame::of(shown.ctx),
        action: &shown.action,
        request: &shown.request,
        username,
        error,
    };
    pages::html(status, &page, &[])
}

/// `None`: the link is no longer good.
pub async fn submit(page: &Page, mut posted: PostedLink, found: &Found) -> Result<Option<Response>> {
    let ctx = &page.ctx;
    let username = owner(ctx, found).await?;
    let again = |status, error: &str| {
        cookie::bind(ctx, Some(posted.cookie.clone()), |cookie| {
            render(&Shown::new(ctx, &posted.content, found, cookie)?, &username, status, Some(error))
        })
        .map(Some)
    };
    let password = Secret::new(posted.fields.take("password"));
    if posted.fields.take("again") != password.expose() {
        return again(400, ctx.texts.passwords.differ.as_str());
    }
    match forgotten::set(ctx, found, &username, password, &page.call.origin()).await? {
        Chosen::Weak(fault) => again(400, &faults::in_words(ctx, fault)),
        Chosen::TooMany => again(429, ctx.texts.common.too_often.as_str()),
        Chosen::Gone => Ok(None),
        Chosen::Set => {
            let t = &ctx.texts.new_password;
            let way = found.content.go_on.as_ref().map(|go_on| go_on.path_in(ctx, Some(&posted.cookie)));
            let way = way.as_deref().map(|way| (way, &ctx.texts.sign_in.title));
            note(ctx, 200, &t.done_title, &t.done, way).map(Some)
        }
    }
}
