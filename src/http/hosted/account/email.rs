//! `account/email`: the mail address, proved or exchanged for another one by a letter to it.

use askama::Template;
use axum::response::Response;

use super::enter::{Filled, Matter, Visitor, enter, or_sign_in, receive};
use super::place::Place;
use super::shell::{Notice, Shell, go_to, notice};
use crate::error::{Code, Error, Result, refused};
use crate::http::hosted::frame::Frame;
use crate::http::hosted::page::Page;
use crate::http::hosted::{cookie, pages};
use crate::identity::addresses;
use crate::texts::Texts;

const PLACE: Place = Place::Email;

struct ChangeAddress;

impl Matter for ChangeAddress {
    const KIND: &'static str = "account_email";
    const PLACE: Place = PLACE;
}

#[derive(Template)]
#[template(path = "account/email.html")]
struct EmailPage<'a> {
    t: &'static Texts,
    frame: Frame<'a>,
    shell: Shell,
    action: &'a str,
    request: &'a str,
    email: Option<&'a str>,
    verified: bool,
    typed: &'a str,
    wrong: bool,
}

pub async fn show(page: Page) -> Response {
    page.answer(shown(&page).await)
}

async fn shown(page: &Page) -> Result<Response> {
    match enter(page, PLACE).await? {
        Ok(visitor) => render(page, &visitor, 200, None, ""),
        Err(response) => Ok(response),
    }
}

pub async fn submit(page: Page) -> Response {
    page.answer(submitted(&page).await)
}

async fn submitted(page: &Page) -> Result<Response> {
    let Filled { visitor, fields, .. } = match receive::<ChangeAddress>(page).await? {
        Ok(filled) => filled,
        Err(response) => return Ok(response),
    };
    let (ctx, holder) = (&page.ctx, visitor.holder());
    let typed = fields.get("email").unwrap_or_default().trim();
    let asked = match fields.get("letter") {
        Some("verify") => {
            addresses::ask_own_verification(ctx, &holder).await.map(|()| Notice::VerificationSent)
        }
        Some("change") => addresses::ask_own_change(ctx, &holder, typed).await.map(|()| Notice::AddressAsked),
        _ => return Err(refused(|t| &t.errors.form_incomplete)),
    };
    match asked {
        Ok(notice) => go_to(page, PLACE, notice, &visitor),
        Err(error) => match or_sign_in(page, PLACE, error)? {
            Ok(error) => again(page, &visitor, typed, error),
            Err(response) => Ok(response),
        },
    }
}

fn again(page: &Page, visitor: &Visitor, typed: &str, error: Error) -> Result<Response> {
    let t = &page.ctx.texts.account_email;
    let text = match error.code() {
        Code::InvalidRequest => &t.wrong,
        Code::Conflict => &t.not_now,
        _ => return Err(error),
    };
    render(page, visitor, error.status(), Some(text.to_string()), typed)
}

fn render(
    page: &Page,
    visitor: &Visitor,
    status: u16,
    error: Option<String>,
    typed: &str,
) -> Result<Response> {
    let ctx = &page.ctx;
    let notice = notice(page).filter(|_| error.is_none());
    let wrong = error.is_some();
    cookie::bind(ctx, Some(visitor.cookie.clone()), |_| {
        let shown = EmailPage {
            t: ctx.texts,
            frame: Frame::of(ctx),
            shell: Shell::new(ctx, PLACE, notice, error),
            action: &PLACE.link(ctx),
            request: &visitor.seal::<ChangeAddress>(ctx)?,
            email: visitor.user.email.as_deref(),
            verified: visitor.user.email_verified,
            typed,
            wrong,
        };
        pages::html(status, &shown, &[])
    })
}
