//! `account/factors/passkey`: a new passkey. Passkeys are removed where all factors are, and named where all are.

use askama::Template;
use axum::response::Response;

use super::device_in_words;
use super::enter::{Filled, Matter, Visitor, enter, receive};
use super::factors::{refuse, show_codes};
use super::place::Place;
use super::shell::{Notice, Shell, go_to};
use crate::app::Ctx;
use crate::error::{Code, Error, Result};
use crate::http::hosted::cookie;
use crate::http::hosted::frame::{Frame, in_language};
use crate::http::hosted::page::Page;
use crate::http::hosted::passkey::{self, PasskeyForm};
use crate::identity::account::factors;
use crate::identity::passkeys::{self, Asked, Purpose};
use crate::texts::{Text, Texts};

const PLACE: Place = Place::Factors;

struct AddPasskey;

impl Matter for AddPasskey {
    const KIND: &'static str = "account_factors_passkey";
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

/// Whether one can be made here.
pub fn are_offered(ctx: &Ctx) -> bool {
    passkeys::are_possible(ctx) && passkeys::are_wanted(ctx)
}

pub fn link(ctx: &Ctx) -> String {
    format!("{}/passkey", PLACE.link(ctx))
}

pub(super) fn back(ctx: &Ctx) -> String {
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

pub(super) fn is_name(error: &Error) -> bool {
    error.code() == Code::InvalidRequest && error.field() == Some("name")
}
