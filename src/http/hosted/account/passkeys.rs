//! `account/factors/passkey`: a new passkey, and a new name for one. They are removed where all factors are.

use askama::Template;
use axum::response::Response;

use super::device_in_words;
use super::enter::{Filled, Matter, Visitor, enter, receive};
use super::factors::{refuse, show_codes};
use super::place::Place;
use super::shell::{Notice, Shell, go_to};
use crate::app::Ctx;
use crate::error::{Code, Error, Result, not_found};
use crate::http::hosted::frame::{Frame, in_language};
use crate::http::hosted::page::Page;
use crate::http::hosted::passkey::{self, PasskeyForm};
use crate::http::hosted::{cookie, pages};
use crate::identity::account::factors;
use crate::identity::passkeys::{self, Asked, Purpose};
use crate::ids::PasskeyId;
use crate::texts::{Text, Texts};

const PLACE: Place = Place::Factors;

struct AddPasskey;

impl Matter for AddPasskey {
    const KIND: &'static str = "account_factors_passkey";
    const PLACE: Place = PLACE;
}

struct NamePasskey;

impl Matter for NamePasskey {
    const KIND: &'static str = "account_factors_passkey_name";
    const PLACE: Place = PLACE;
}

#[derive(Template)]
#[template(path = "account/passkey.html")]
struct PasskeyPage<'a> {
    t: &'static Texts,
    frame: Frame<'a>,
    shell: Shell,
    request: &'a str,
    passkey: PasskeyForm,
    name: &'a str,
    /// Whether the name is what is wrong.
    bad: bool,
    back: String,
}

#[derive(Template)]
#[template(path = "account/passkey_name.html")]
struct NamePage<'a> {
    t: &'static Texts,
    frame: Frame<'a>,
    shell: Shell,
    action: &'a str,
    request: &'a str,
    name: &'a str,
    bad: bool,
    back: String,
}

/// Whether one can be made here.
pub fn are_offered(ctx: &Ctx) -> bool {
    passkeys::are_possible(ctx) && passkeys::are_wanted(ctx)
}

pub fn link(ctx: &Ctx) -> String {
    format!("{}/passkey", PLACE.link(ctx))
}

pub fn name_link(ctx: &Ctx, id: PasskeyId) -> String {
    format!("{}/{id}", link(ctx))
}

fn back(ctx: &Ctx) -> String {
    in_language(ctx, &PLACE.link(ctx))
}

/// For this person, in this browser session.
fn asked(visitor: &Visitor) -> Asked {
    Asked::of_browser(Purpose::Enrolment, &visitor.cookie, Some(visitor.user.id))
}

pub async fn show(page: Page) -> Response {
    page.answer(shown(&page).await)
}

async fn shown(page: &Page) -> Result<Response> {
    let visitor = match enter(page, PLACE).await? {
        Ok(visitor) => visitor,
        Err(response) => return Ok(response),
    };
    let name = device_in_words(page.ctx.texts, &page.browser().user_agent);
    let name = name.unwrap_or_else(|| page.ctx.texts.passkey.one.to_string());
    render(page, &visitor, &name, 200, None).await
}

/// With a question of its own each time. `error`: what is wrong, and whether it is the name.
async fn render(
    page: &Page,
    visitor: &Visitor,
    name: &str,
    status: u16,
    error: Option<(&Text, bool)>,
) -> Result<Response> {
    let ctx = &page.ctx;
    let question = match passkeys::begin(ctx, &asked(visitor), visitor.user.id).await {
        Ok(question) => question,
        Err(error) => return refuse(page, visitor, error).await,
    };
    cookie::bind(ctx, Some(visitor.cookie.clone()), |_| {
        let shown = PasskeyPage {
            t: ctx.texts,
            frame: Frame::of(ctx),
            shell: Shell::new(ctx, PLACE, None, error.map(|(text, _)| text.to_string())),
            request: &visitor.seal::<AddPasskey>(ctx)?,
            passkey: PasskeyForm::of(link(ctx), question),
            name,
            bad: error.is_some_and(|(_, is_name)| is_name),
            back: back(ctx),
        };
        passkey::html(ctx, status, &shown, &[], true)
    })
}

pub async fn submit(page: Page) -> Response {
    page.answer(submitted(&page).await)
}

async fn submitted(page: &Page) -> Result<Response> {
    let Filled { visitor, fields, .. } = match receive::<AddPasskey>(page).await? {
        Ok(filled) => filled,
        Err(response) => return Ok(response),
    };
    let (ctx, t) = (&page.ctx, page.ctx.texts);
    let name = fields.get("name").unwrap_or_default().trim();
    let answered = passkey::answered(&fields);
    match factors::add_passkey(ctx, &visitor.holder(), &asked(&visitor), &answered, name).await {
        Ok(Some(codes)) => show_codes(page, &visitor, &codes),
        Ok(None) => go_to(page, PLACE, Notice::PasskeyAdded, &visitor),
        Err(error) if is_name(&error) => {
            render(page, &visitor, "", 400, Some((&t.account_factors.bad_name, true))).await
        }
        // What is wrong with it is for whoever writes an application.
        Err(error) if error.code() == Code::InvalidRequest => {
            render(page, &visitor, name, 400, Some((&t.passkey.not_made, false))).await
        }
        Err(error) => refuse(page, &visitor, error).await,
    }
}

fn is_name(error: &Error) -> bool {
    error.code() == Code::InvalidRequest && error.field() == Some("name")
}

pub async fn show_name(page: Page) -> Response {
    page.answer(name_shown(&page).await)
}

async fn name_shown(page: &Page) -> Result<Response> {
    let visitor = match enter(page, PLACE).await? {
        Ok(visitor) => visitor,
        Err(response) => return Ok(response),
    };
    let id = named(page);
    let found = passkeys::list(&page.ctx, visitor.user.id).await?;
    match found.into_iter().find(|passkey| Some(passkey.id) == id) {
        Some(passkey) => render_name(page, &visitor, passkey.id, &passkey.name, None),
        None => refuse(page, &visitor, not_found("no such passkey")).await,
    }
}

/// What the address names, if that can be a passkey.
fn named(page: &Page) -> Option<PasskeyId> {
    page.call.path("id").ok()
}

fn render_name(
    page: &Page,
    visitor: &Visitor,
    id: PasskeyId,
    name: &str,
    error: Option<&Text>,
) -> Result<Response> {
    let ctx = &page.ctx;
    cookie::bind(ctx, Some(visitor.cookie.clone()), |_| {
        let shown = NamePage {
            t: ctx.texts,
            frame: Frame::of(ctx),
            shell: Shell::new(ctx, PLACE, None, error.map(Text::to_string)),
            action: &name_link(ctx, id),
            request: &visitor.seal::<NamePasskey>(ctx)?,
            name,
            bad: error.is_some(),
            back: back(ctx),
        };
        pages::html(if error.is_some() { 400 } else { 200 }, &shown, &[])
    })
}

pub async fn submit_name(page: Page) -> Response {
    page.answer(name_submitted(&page).await)
}

async fn name_submitted(page: &Page) -> Result<Response> {
    let Filled { visitor, fields, .. } = match receive::<NamePasskey>(page).await? {
        Ok(filled) => filled,
        Err(response) => return Ok(response),
    };
    let (ctx, name) = (&page.ctx, fields.get("name").unwrap_or_default().trim());
    let Some(id) = named(page) else { return refuse(page, &visitor, not_found("no such passkey")).await };
    match passkeys::rename(ctx, &visitor.holder(), id, name).await {
        Ok(_) => go_to(page, PLACE, Notice::PasskeyRenamed, &visitor),
        Err(error) if is_name(&error) => {
            render_name(page, &visitor, id, "", Some(&ctx.texts.account_factors.bad_name))
        }
        Err(error) => refuse(page, &visitor, error).await,
    }
}
