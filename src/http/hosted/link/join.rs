//! An account is made, by whoever has proved the mail address that it is for.

use askama::Template;
use axum::response::Response;

use super::{PostedLink, Shown};
use crate::app::Ctx;
use crate::error::Result;
use crate::http::hosted::frame::{Frame, in_language};
use crate::http::hosted::note::note;
use crate::http::hosted::page::Page;
use crate::http::hosted::{cookie, faults, pages};
use crate::identity::links::Found;
use crate::identity::sign_up::{self, Joined};
use crate::secret::Secret;
use crate::texts::Texts;

/// A user name has at most so many characters; what is longer is not shown again.
const MOST_SHOWN: usize = 128;

#[derive(Template)]
#[template(path = "join.html")]
struct JoinPage<'a> {
    t: &'static Texts,
    frame: Frame<'a>,
    action: &'a str,
    request: &'a str,
    address: &'a str,
    /// Chosen by whoever sent the invitation.
    given_name: Option<&'a str>,
    username: &'a str,
    error: Option<&'a str>,
    /// What the error is about.
    bad_name: bool,
    bad_password: bool,
}

/// `error`: what is wrong, and with which field.
pub fn render(
    shown: &Shown<'_>,
    username: &str,
    status: u16,
    error: Option<(&str, Option<&'static str>)>,
) -> Result<Response> {
    let content = &shown.found.content;
    let page = JoinPage {
        t: shown.ctx.texts,
        frame: Frame::of(shown.ctx),
        action: &shown.action,
        request: &shown.request,
        address: &content.address,
        given_name: content.invited.as_ref().and_then(|invited| invited.username.as_deref()),
        username: if username.chars().count() > MOST_SHOWN { "" } else { username },
        error: error.map(|(text, _)| text),
        bad_name: error.is_some_and(|(_, field)| field == Some("username")),
        bad_password: error.is_some_and(|(_, field)| field == Some("password")),
    };
    pages::html(status, &page, &[])
}

/// `None`: the link is no longer good.
pub async fn submit(page: &Page, mut posted: PostedLink, found: &Found) -> Result<Option<Response>> {
    let ctx = &page.ctx;
    let username = posted.fields.take("username");
    let again = |status, error: &str, field: Option<&'static str>| {
        cookie::bind(ctx, Some(posted.cookie.clone()), |cookie| {
            let shown = Shown::new(ctx, &posted.content, found, cookie)?;
            render(&shown, username.trim(), status, Some((error, field)))
        })
        .map(Some)
    };
    let password = Secret::new(posted.fields.take("password"));
    if posted.fields.take("again") != password.expose() {
        return again(400, ctx.texts.passwords.differ.as_str(), Some("password"));
    }
    let t = &ctx.texts.join;
    match sign_up::join(ctx, found, &username, password).await {
        Ok(Joined::Made(_)) => arrived(ctx, found, &posted.cookie).map(Some),
        Ok(Joined::Gone) => Ok(None),
        Ok(Joined::NameTaken) => again(400, t.taken.as_str(), Some("username")),
        Ok(Joined::NotTheirs) => again(400, t.not_yours.as_str(), Some("username")),
        Ok(Joined::Weak(fault)) => again(400, &faults::in_words(ctx, fault), Some("password")),
        Ok(Joined::TooMany) => again(429, ctx.texts.common.too_often.as_str(), None),
        Err(error) if error.field() == Some("username") => again(400, t.no_name.as_str(), Some("username")),
        Err(error) => Err(error),
    }
}

/// The account is there; its owner signs in to it like anybody else.
fn arrived(ctx: &Ctx, found: &Found, cookie: &Secret) -> Result<Response> {
    let t = &ctx.texts.join;
    let way = match &found.content.go_on {
        Some(go_on) => go_on.path_in(ctx, Some(cookie)),
        None => in_language(ctx, &format!("/projects/{}/account", ctx.project.slug)),
    };
    note(ctx, 200, &t.done_title, &t.done, Some((&way, &ctx.texts.sign_in.title)))
}
