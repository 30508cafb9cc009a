//! `account/profile`: the own record, as far as it is for users to change.

use askama::Template;
use axum::response::Response;

use super::enter::{Filled, Matter, Visitor, enter, or_sign_in, receive};
use super::place::Place;
use super::profile_fields::{self, Field, fields};
use super::shell::{Notice, Shell, go_to, notice};
use crate::error::{Code, Error, Result};
use crate::http::hosted::frame::Frame;
use crate::http::hosted::page::Page;
use crate::http::hosted::{cookie, pages};
use crate::identity::account::profile;
use crate::oauth::parameters::Parameters;
use crate::texts::Texts;

const PLACE: Place = Place::Profile;

struct ChangeProfile;

impl Matter for ChangeProfile {
    const KIND: &'static str = "account_profile";
    const PLACE: Place = PLACE;
}

#[derive(Template)]
#[template(path = "account/profile.html")]
struct ProfilePage<'a> {
    t: &'static Texts,
    frame: Frame<'a>,
    shell: Shell,
    action: &'a str,
    request: &'a str,
    fields: Vec<Field>,
}

pub async fn show(page: Page) -> Response {
    page.answer(shown(&page).await)
}

async fn shown(page: &Page) -> Result<Response> {
    match enter(page, PLACE).await? {
        Ok(visitor) => render(page, &visitor, 200, None, None),
        Err(response) => Ok(response),
    }
}

pub async fn submit(page: Page) -> Response {
    page.answer(submitted(&page).await)
}

async fn submitted(page: &Page) -> Result<Response> {
    let Filled { visitor, fields, seen } = match receive::<ChangeProfile>(page).await? {
        Ok(filled) => filled,
        Err(response) => return Ok(response),
    };
    let change = profile_fields::change(&page.ctx, &visitor.user, &fields);
    match profile::change(&page.ctx, &visitor.holder(), change, Some(seen)).await {
        Ok(_) => go_to(page, PLACE, Notice::ProfileSaved, &visitor),
        Err(error) => match or_sign_in(page, PLACE, error)? {
            Ok(error) => refused(page, &visitor, &fields, error),
            Err(response) => Ok(response),
        },
    }
}

/// What was typed stays, unless somebody else changed the record meanwhile.
fn refused(page: &Page, visitor: &Visitor, typed: &Parameters, error: Error) -> Result<Response> {
    match error.code() {
        Code::PreconditionFailed => {
            let text = page.ctx.texts.account.overtaken.to_string();
            render(page, visitor, 409, None, Some((text, None)))
        }
        Code::InvalidRequest => {
            let text = profile_fields::in_words(&page.ctx, &error);
            render(page, visitor, 400, Some(typed), Some((text, error.field())))
        }
        _ => Err(error),
    }
}

/// `wrong`: what is, and the field that it is about.
fn render(
    page: &Page,
    visitor: &Visitor,
    status: u16,
    typed: Option<&Parameters>,
    wrong: Option<(String, Option<&str>)>,
) -> Result<Response> {
    let ctx = &page.ctx;
    let invalid = wrong.as_ref().and_then(|(_, field)| *field);
    let fields = fields(ctx, &visitor.user, typed, invalid);
    let notice = notice(page).filter(|_| wrong.is_none());
    cookie::bind(ctx, Some(visitor.cookie.clone()), |_| {
        let shown = ProfilePage {
            t: ctx.texts,
            frame: Frame::of(ctx),
            shell: Shell::new(ctx, PLACE, notice, wrong.map(|(text, _)| text)),
            action: &PLACE.link(ctx),
            request: &visitor.seal::<ChangeProfile>(ctx)?,
            fields,
        };
        pages::html(status, &shown, &[])
    })
}
