//! `account/delete`: the end of the account, where the project lets people, by the user name typed again.

use askama::Template;
use axum::http::header;
use axum::response::Response;

use super::enter::{Filled, Matter, Visitor, enter, or_sign_in, receive};
use super::place::Place;
use super::shell::Shell;
use super::when::moment;
use crate::error::{Code, Result, not_found};
use crate::http::hosted::frame::{Frame, in_language};
use crate::http::hosted::page::Page;
use crate::http::hosted::{cookie, pages};
use crate::identity::account::deletion::{self, OwnDeletion};
use crate::texts::Texts;

const PLACE: Place = Place::Delete;

struct Delete;

impl Matter for Delete {
    const KIND: &'static str = "account_delete";
    const PLACE: Place = PLACE;
}

#[derive(Template)]
#[template(path = "account/delete.html")]
struct DeletePage<'a> {
    t: &'static Texts,
    frame: Frame<'a>,
    shell: Shell,
    action: &'a str,
    request: &'a str,
    username: &'a str,
    /// Days in which it can be called off.
    restore_days: Option<String>,
    back: String,
    wrong: bool,
}

/// The last page.
#[derive(Template)]
#[template(path = "account/deleted.html")]
struct DeletedPage<'a> {
    t: &'static Texts,
    frame: Frame<'a>,
    /// The end of the restore window.
    until: Option<String>,
}

pub async fn show(page: Page) -> Response {
    page.answer(shown(&page).await)
}

async fn shown(page: &Page) -> Result<Response> {
    if !page.ctx.project.settings.self_deletion {
        return Err(not_found("there is nothing at this address"));
    }
    match enter(page, PLACE).await? {
        Ok(visitor) => render(page, &visitor, 200, None, false),
        Err(response) => Ok(response),
    }
}

fn render(
    page: &Page,
    visitor: &Visitor,
    status: u16,
    error: Option<String>,
    wrong: bool,
) -> Result<Response> {
    let ctx = &page.ctx;
    let days = ctx.project.settings.deletion_restore_days;
    cookie::bind(ctx, Some(visitor.cookie.clone()), |_| {
        let shown = DeletePage {
            t: ctx.texts,
            frame: Frame::of(ctx),
            shell: Shell::new(ctx, PLACE, None, error),
            action: &PLACE.link(ctx),
            request: &visitor.seal::<Delete>(ctx)?,
            username: visitor.username(),
            restore_days: (days > 0).then(|| days.to_string()),
            back: in_language(ctx, &Place::Data.link(ctx)),
            wrong,
        };
        pages::html(status, &shown, &[])
    })
}

pub async fn submit(page: Page) -> Response {
    page.answer(submitted(&page).await)
}

async fn submitted(page: &Page) -> Result<Response> {
    let Filled { visitor, fields, .. } = match receive::<Delete>(page).await? {
        Ok(filled) => filled,
        Err(response) => return Ok(response),
    };
    let typed = fields.get("confirmation").unwrap_or_default();
    let error = match deletion::delete(&page.ctx, &visitor.holder(), typed).await {
        Ok(done) => return gone(page, &done),
        Err(error) => error,
    };
    let error = match or_sign_in(page, PLACE, error)? {
        Ok(error) => error,
        Err(response) => return Ok(response),
    };
    let t = page.ctx.texts;
    let (text, wrong) = match error.code() {
        Code::ConfirmationFailed => (&t.account_delete.wrong, true),
        Code::Conflict => (&t.account_delete.open, false),
        _ => return Err(error),
    };
    render(page, &visitor, error.status(), Some(text.to_string()), wrong)
}

fn gone(page: &Page, done: &OwnDeletion) -> Result<Response> {
    let ctx = &page.ctx;
    let shown = DeletedPage { t: ctx.texts, frame: Frame::of(ctx), until: done.execute_at.map(moment) };
    let mut response = pages::html(200, &shown, &[])?;
    response.headers_mut().append(header::SET_COOKIE, cookie::remove(ctx)?);
    Ok(response)
}
