//! `forgotten-password`: a forgotten password. The page asks for a name, and answers the same whoever has it.

use askama::Template;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::form::{self, Aim, Asked, Content, Received};
use super::frame::{Frame, in_language};
use super::note::note;
use super::page::Page;
use super::{cookie, pages, sign_in};
use crate::app::Ctx;
use crate::error::Result;
use crate::identity::links::GoOn;
use crate::identity::requests::{self, Request, Wish};
use crate::ids::ClientId;
use crate::oauth::authorize::parse;
use crate::secret::Secret;
use crate::texts::Texts;

/// Longer ones are nobody's: a mail address has at most 254 bytes, a user name 128 characters.
const MOST_BYTES: usize = 512;

/// A sealed request that is longer than this does not fit into an address.
const MOST_CARRIED: usize = 4096;

#[derive(Template)]
#[template(path = "forgotten.html")]
struct ForgottenPage<'a> {
    t: &'static Texts,
    frame: Frame<'a>,
    action: &'a str,
    request: &'a str,
    who: &'a str,
    error: Option<&'a str>,
    /// Where the sign-in is that led here.
    back: Option<&'a str>,
}

/// What the form carries: where to go on in the end.
#[derive(Serialize, Deserialize)]
struct Forgotten {
    go_on: Option<GoOn>,
}

impl Content for Forgotten {
    const KIND: &'static str = "forgotten_password";

    fn link(&self, ctx: &Ctx) -> String {
        path(ctx)
    }
}

fn path(ctx: &Ctx) -> String {
    format!("/projects/{}/forgotten-password", ctx.project.slug)
}

/// From a sign-in to one of the pages beside it, which come back to it: `request` is the sign-in's own, sealed.
pub fn beside(ctx: &Ctx, page: &str, request: &str, client: Option<ClientId>) -> String {
    let carried = match (request.len() > MOST_CARRIED, client) {
        (true, Some(client)) => format!("client_id={client}"),
        (true, None) => String::new(),
        (false, _) => format!("request={request}"),
    };
    in_language(ctx, &format!("/projects/{}/{page}?{carried}", ctx.project.slug))
}

/// Where to go on, from the query of such a link: `None` for a link that carries nothing of ours.
pub fn go_on(page: &Page, cookie: &Secret) -> Result<Option<GoOn>> {
    let ctx = &page.ctx;
    let parameters = parse(page.call.raw_query())?;
    if parameters.has("request") {
        let aim = match form::follow::<Asked>(page) {
            Ok(Received::Valid(followed)) => followed.content.aim,
            Ok(Received::Stale(asked)) => asked.aim,
            Err(_) => return Ok(None),
        };
        let go_on = |client| GoOn::new(client, in_language(ctx, &aim.link(ctx)), cookie);
        return Ok(aim.client_id().map(go_on));
    }
    let client: Option<ClientId> = parameters.get("client_id").and_then(|id| id.parse().ok());
    Ok(client.map(|client| GoOn::new(client, Aim::BrowserSession(client).link(ctx), cookie)))
}

pub async fn ask(page: Page) -> Response {
    let ctx = &page.ctx;
    let shown = cookie::bind(ctx, page.cookie(), |cookie| {
        let forgotten = Forgotten { go_on: go_on(&page, cookie)? };
        render(ctx, &forgotten, cookie, "", 200, None)
    });
    page.answer(shown)
}

pub async fn head(page: Page) -> Response {
    sign_in::without_cookie(ask(page.without_browser()).await)
}

fn render(
    ctx: &Ctx,
    forgotten: &Forgotten,
    cookie: &Secret,
    who: &str,
    status: u16,
    error: Option<&str>,
) -> Result<Response> {
    let back = forgotten.go_on.as_ref().map(|go_on| go_on.path_in(ctx, Some(cookie)));
    let shown = ForgottenPage {
        t: ctx.texts,
        frame: Frame::of(ctx),
        action: &path(ctx),
        request: &form::seal(ctx, forgotten, cookie)?,
        who: if who.len() > MOST_BYTES { "" } else { who },
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
    let posted = match form::receive::<Forgotten>(page)? {
        Received::Valid(posted) => posted,
        Received::Stale(forgotten) => return pages::stale(ctx, &forgotten.link(ctx)),
    };
    let t = &ctx.texts.forgotten;
    let who = posted.fields.get("who").map(str::trim).unwrap_or_default();
    let again = |status, error: &str| {
        cookie::bind(ctx, Some(posted.cookie.clone()), |cookie| {
            render(ctx, &posted.content, cookie, who, status, Some(error))
        })
    };
    if who.is_empty() || who.len() > MOST_BYTES {
        return again(400, t.missing.as_str());
    }
    let request = Request {
        wish: Wish::NewPassword,
        who: who.to_owned(),
        language: ctx.texts.language.tag.clone(),
        go_on: posted.content.go_on.clone(),
    };
    match requests::ask(ctx, &request, &page.call.client_address()).await? {
        Some(seconds) => wait(again(429, ctx.texts.common.too_often.as_str())?, seconds),
        None => note(ctx, 200, &t.sent_title, &t.sent, None),
    }
}

/// An answer that says when to come again.
pub fn wait(mut response: Response, seconds: u32) -> Result<Response> {
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    Ok(response)
}
