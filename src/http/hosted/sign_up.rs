//! `sign-up`: an account of one's own, where the project is open. The page asks for a mail address and says the same to
//! everybody; what follows stands in the letter.

use askama::Template;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::forgotten::{go_on, wait};
use super::form::{self, Content, Received};
use super::frame::Frame;
use super::note::note;
use super::page::Page;
use super::{cookie, pages, sign_in};
use crate::app::Ctx;
use crate::error::{Code, Error, Result};
use crate::identity::links::GoOn;
use crate::identity::requests::{self, Request, Wish};
use crate::identity::sign_up::is_open;
use crate::model::names::check_email;
use crate::secret::Secret;
use crate::texts::{Text, Texts};

/// What is longer is not shown again.
const MOST_SHOWN: usize = 254;

/// The longest that a host waits, in seconds.
const QUARTER: u32 = 900;

#[derive(Template)]
#[template(path = "sign_up.html")]
struct SignUpPage<'a> {
    t: &'static Texts,
    frame: Frame<'a>,
    action: &'a str,
    request: &'a str,
    email: &'a str,
    error: Option<&'a str>,
    back: Option<&'a str>,
}

/// What the form carries: where to go on in the end.
#[derive(Serialize, Deserialize)]
struct NewAccount {
    go_on: Option<GoOn>,
}

impl Content for NewAccount {
    const KIND: &'static str = "sign_up";

    fn link(&self, ctx: &Ctx) -> String {
        path(ctx)
    }
}

fn path(ctx: &Ctx) -> String {
    format!("/projects/{}/sign-up", ctx.project.slug)
}

pub async fn ask(page: Page) -> Response {
    page.answer(asked(&page))
}

fn asked(page: &Page) -> Result<Response> {
    let ctx = &page.ctx;
    require_open(ctx)?;
    cookie::bind(ctx, page.cookie(), |cookie| {
        let account = NewAccount { go_on: go_on(page, cookie)? };
        render(ctx, &account, cookie, "", 200, None)
    })
}

pub async fn head(page: Page) -> Response {
    sign_in::without_cookie(ask(page.without_browser()).await)
}

fn require_open(ctx: &Ctx) -> Result<()> {
    if is_open(ctx) { Ok(()) } else { Err(Error::for_people(Code::Forbidden, |t| &t.sign_up.closed)) }
}

fn render(
    ctx: &Ctx,
    account: &NewAccount,
    cookie: &Secret,
    email: &str,
    status: u16,
    error: Option<&str>,
) -> Result<Response> {
    let back = account.go_on.as_ref().map(|go_on| go_on.path_in(ctx, Some(cookie)));
    let shown = SignUpPage {
        t: ctx.texts,
        frame: Frame::of(ctx),
        action: &path(ctx),
        request: &form::seal(ctx, account, cookie)?,
        email: if email.len() > MOST_SHOWN { "" } else { email },
        error,
        back: back.as_deref(),
    };
    pages::html(status, &shown, &[])
}

pub async fn submit(page: Page) -> Response {
    page.answer(submitted(&page).await)
}

async fn submitted(page: &Page) -> Result<Response> {
    let ctx = &page.ctx;
    require_open(ctx)?;
    let posted = match form::receive::<NewAccount>(page)? {
        Received::Valid(posted) => posted,
        Received::Stale(account) => return pages::stale(ctx, &account.link(ctx)),
    };
    let t = &ctx.texts.sign_up;
    let email = posted.fields.get("email").map(str::trim).unwrap_or_default();
    let again = |status, error: &str| {
        cookie::bind(ctx, Some(posted.cookie.clone()), |cookie| {
            render(ctx, &posted.content, cookie, email, status, Some(error))
        })
    };
    if check_email(email).is_err() {
        return again(400, t.no_address.as_str());
    }
    let request = Request {
        wish: Wish::Account,
        who: email.to_owned(),
        language: ctx.texts.language.tag.clone(),
        go_on: posted.content.go_on.clone(),
    };
    match requests::ask(ctx, &request, &page.call.client_address()).await? {
        Some(seconds) => wait(again(429, too_often(ctx, seconds).as_str())?, seconds),
        None => note(ctx, 200, &t.sent_title, &t.sent, None),
    }
}

/// A network waits longer than a host.
fn too_often(ctx: &Ctx, seconds: u32) -> &'static Text {
    if seconds > QUARTER { &ctx.texts.sign_up.too_many } else { &ctx.texts.common.too_often }
}
