//! `account/factors/app/{id}`, `…/passkey/{id}`: another name for one of them.

use askama::Template;
use axum::response::Response;
use uuid::Uuid;

use super::enter::{Filled, Matter, Visitor, enter, receive};
use super::factors::{app_link, refuse};
use super::passkeys::{self, back, is_name};
use super::place::Place;
use super::shell::{Notice, Shell, go_to};
use crate::app::Ctx;
use crate::error::{Result, not_found};
use crate::http::hosted::frame::Frame;
use crate::http::hosted::page::Page;
use crate::http::hosted::{cookie, pages};
use crate::identity::account::factors;
use crate::identity::factors::Factor;
use crate::model::sign_in_policy::FactorKind;
use crate::texts::{Text, Texts};

const PLACE: Place = Place::Factors;

struct NameFactor;

impl Matter for NameFactor {
    const KIND: &'static str = "account_factor_name";
    const PLACE: Place = PLACE;
}

#[derive(Template)]
#[template(path = "account/factor_name.html")]
struct NamePage<'a> {
    t: &'static Texts,
    frame: Frame<'a>,
    shell: Shell,
    action: &'a str,
    request: &'a str,
    title: &'a Text,
    name: &'a str,
    bad: bool,
    back: String,
}

/// Where a factor gets another name.
pub fn link(ctx: &Ctx, factor: &Factor) -> String {
    let kind = if is_passkey(factor) { passkeys::link(ctx) } else { app_link(ctx) };
    format!("{kind}/{}", factor.id)
}

fn is_passkey(factor: &Factor) -> bool {
    factor.kind == FactorKind::Passkey
}

pub async fn show(page: Page) -> Response {
    page.answer(shown(&page).await)
}

async fn shown(page: &Page) -> Result<Response> {
    let visitor = match enter(page, PLACE).await? {
        Ok(visitor) => visitor,
        Err(response) => return Ok(response),
    };
    match find(page, &visitor).await? {
        Some(factor) => render(page, &visitor, &factor, &factor.name, None),
        None => refuse(page, &visitor, not_found("no such factor")).await,
    }
}

/// What the address names, if it is there.
async fn find(page: &Page, visitor: &Visitor) -> Result<Option<Factor>> {
    let Some(id) = page.call.path::<Uuid>("id").ok() else { return Ok(None) };
    let found = factors::list(&page.ctx, &visitor.holder()).await?;
    Ok(found.items.into_iter().find(|factor| factor.id == id))
}

fn render(
    page: &Page,
    visitor: &Visitor,
    factor: &Factor,
    name: &str,
    error: Option<&Text>,
) -> Result<Response> {
    let (ctx, t) = (&page.ctx, page.ctx.texts);
    cookie::bind(ctx, Some(visitor.cookie.clone()), |_| {
        let shown = NamePage {
            t,
            frame: Frame::of(ctx),
            shell: Shell::new(ctx, PLACE, None, error.map(Text::to_string)),
            action: &link(ctx, factor),
            request: &visitor.seal::<NameFactor>(ctx)?,
            title: if is_passkey(factor) { &t.passkey.rename_title } else { &t.account_factors.rename_title },
            name,
            bad: error.is_some(),
            back: back(ctx),
        };
        pages::html(if error.is_some() { 400 } else { 200 }, &shown, &[])
    })
}

pub async fn submit(page: Page) -> Response {
    page.answer(submitted(&page).await)
}

async fn submitted(page: &Page) -> Result<Response> {
    let Filled { visitor, fields, .. } = match receive::<NameFactor>(page).await? {
        Ok(filled) => filled,
        Err(response) => return Ok(response),
    };
    let (ctx, name) = (&page.ctx, fields.get("name").unwrap_or_default().trim());
    let Some(factor) = find(page, &visitor).await? else {
        return refuse(page, &visitor, not_found("no such factor")).await;
    };
    match factors::rename(ctx, &visitor.holder(), factor.id, name).await {
        Ok(renamed) if is_passkey(&renamed) => go_to(page, PLACE, Notice::PasskeyRenamed, &visitor),
        Ok(_) => go_to(page, PLACE, Notice::AppRenamed, &visitor),
        Err(error) if is_name(&error) => {
            render(page, &visitor, &factor, "", Some(&ctx.texts.account_factors.bad_name))
        }
        Err(error) => refuse(page, &visitor, error).await,
    }
}
