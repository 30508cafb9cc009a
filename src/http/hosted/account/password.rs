//! `account/password`: another password for the one that is proved.

use askama::Template;
use axum::response::Response;

use super::enter::{Filled, Matter, Visitor, enter, or_sign_in, receive};
use super::place::Place;
use super::shell::{Notice, Shell, go_to, notice};
use crate::app::Ctx;
use crate::error::{Code, Result};
use crate::http::hosted::frame::{Frame, in_language};
use crate::http::hosted::page::Page;
use crate::http::hosted::{cookie, faults, pages, redirect};
use crate::identity::account::password::{self, Fault};
use crate::secret::Secret;
use crate::texts::Texts;

const PLACE: Place = Place::Password;

struct ChangePassword;

impl Matter for ChangePassword {
    const KIND: &'static str = "account_password";
    const PLACE: Place = PLACE;
}

#[derive(Template)]
#[template(path = "account/password.html")]
struct PasswordPage<'a> {
    t: &'static Texts,
    frame: Frame<'a>,
    shell: Shell,
    action: &'a str,
    request: &'a str,
    /// For password managers.
    username: &'a str,
    has_one: bool,
    /// Whether what is wrong is the current password, or the new one.
    wrong: bool,
    bad: bool,
}

pub async fn show(page: Page) -> Response {
    page.answer(shown(&page).await)
}

async fn shown(page: &Page) -> Result<Response> {
    match enter(page, PLACE).await? {
        Ok(visitor) => render(page, &visitor, 200, None, false).await,
        Err(response) => Ok(response),
    }
}

pub async fn submit(page: Page) -> Response {
    page.answer(submitted(&page).await)
}

async fn submitted(page: &Page) -> Result<Response> {
    let Filled { visitor, mut fields, .. } = match receive::<ChangePassword>(page).await? {
        Ok(filled) => filled,
        Err(response) => return Ok(response),
    };
    let t = &page.ctx.texts.passwords;
    let (new, again) =
        (Secret::new(fields.take("new_password")), Secret::new(fields.take("new_password_again")));
    if new.expose() != again.expose() {
        return render(page, &visitor, 400, Some(t.differ.to_string()), false).await;
    }
    let current = fields.secret("current_password");
    let changed = password::change(&page.ctx, &visitor.holder(), current, new, &page.call.origin()).await;
    match changed {
        Ok(Ok(_)) => go_to(page, PLACE, Notice::PasswordChanged, &visitor),
        Ok(Err(fault)) => {
            let wrong = matches!(fault, Fault::Wrong | Fault::Missing);
            render(page, &visitor, 400, Some(in_words(&page.ctx, fault)), wrong).await
        }
        Err(error) => {
            let error = match or_sign_in(page, PLACE, error)? {
                Ok(error) => error,
                Err(response) => return Ok(response),
            };
            let text = match error.code() {
                Code::Conflict => &page.ctx.texts.account.overtaken,
                Code::TemporarilyUnavailable => &page.ctx.texts.account.busy,
                _ => return Err(error),
            };
            render(page, &visitor, error.status(), Some(text.to_string()), false).await
        }
    }
}

fn in_words(ctx: &Ctx, fault: Fault) -> String {
    let t = &ctx.texts.account_password;
    match fault {
        Fault::Wrong | Fault::Missing => t.wrong.to_string(),
        Fault::Same => t.same.to_string(),
        Fault::Rule(broken) => faults::in_words(ctx, broken),
    }
}

async fn render(
    page: &Page,
    visitor: &Visitor,
    status: u16,
    error: Option<String>,
    wrong: bool,
) -> Result<Response> {
    let ctx = &page.ctx;
    let has_one = password::has_one(ctx, visitor.user.id).await?;
    let notice = notice(page).filter(|_| error.is_none());
    let bad = error.is_some() && !wrong;
    cookie::bind(ctx, Some(visitor.cookie.clone()), |_| {
        let shown = PasswordPage {
            t: ctx.texts,
            frame: Frame::of(ctx),
            shell: Shell::new(ctx, PLACE, notice, error),
            action: &PLACE.link(ctx),
            request: &visitor.seal::<ChangePassword>(ctx)?,
            username: visitor.username(),
            has_one,
            wrong,
            bad,
        };
        pages::html(status, &shown, &[])
    })
}

/// `.well-known/change-password`.
pub async fn well_known(page: Page) -> Response {
    page.answer(redirect::see_other(&change_link(&page.ctx)))
}

fn change_link(ctx: &Ctx) -> String {
    in_language(ctx, &PLACE.link(ctx))
}
