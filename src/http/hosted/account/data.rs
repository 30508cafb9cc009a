//! `account/data`: everything that is held on somebody, to take along.

use askama::Template;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};

use super::enter::{Filled, Matter, Visitor, enter, or_sign_in, receive};
use super::place::Place;
use super::shell::Shell;
use crate::error::{Error, Result};
use crate::http::hosted::frame::{Frame, in_language};
use crate::http::hosted::page::Page;
use crate::http::hosted::{cookie, pages};
use crate::identity::account::data;
use crate::identity::held::{self, Held};
use crate::texts::Texts;

const PLACE: Place = Place::Data;

struct Download;

impl Matter for Download {
    const KIND: &'static str = "account_data";
    const PLACE: Place = PLACE;
}

#[derive(Template)]
#[template(path = "account/data.html")]
struct DataPage<'a> {
    t: &'static Texts,
    frame: Frame<'a>,
    shell: Shell,
    action: &'a str,
    request: &'a str,
    /// Where the account is deleted, if the project lets people.
    delete: Option<String>,
}

pub async fn show(page: Page) -> Response {
    page.answer(shown(&page).await)
}

async fn shown(page: &Page) -> Result<Response> {
    match enter(page, PLACE).await? {
        Ok(visitor) => render(page, &visitor),
        Err(response) => Ok(response),
    }
}

fn render(page: &Page, visitor: &Visitor) -> Result<Response> {
    let ctx = &page.ctx;
    let delete = ctx.project.settings.self_deletion.then(|| in_language(ctx, &Place::Delete.link(ctx)));
    cookie::bind(ctx, Some(visitor.cookie.clone()), |_| {
        let shown = DataPage {
            t: ctx.texts,
            frame: Frame::of(ctx),
            shell: Shell::new(ctx, PLACE, None, None),
            action: &PLACE.link(ctx),
            request: &visitor.seal::<Download>(ctx)?,
            delete,
        };
        pages::html(200, &shown, &[])
    })
}

pub async fn submit(page: Page) -> Response {
    page.answer(submitted(&page).await)
}

async fn submitted(page: &Page) -> Result<Response> {
    let Filled { visitor, fields, .. } = match receive::<Download>(page).await? {
        Ok(filled) => filled,
        Err(response) => return Ok(response),
    };
    match data::download(&page.ctx, &visitor.holder(), &page.call.origin()).await {
        Ok(data) if fields.get("form") == Some("signed") => {
            let signed = held::signed(&page.ctx, &data)?;
            file(page, ("application/jwt", "jwt"), signed.into_bytes())
        }
        Ok(data) => json_file(page, &data),
        Err(error) => match or_sign_in(page, PLACE, error)? {
            Ok(error) => Err(error),
            Err(response) => Ok(response),
        },
    }
}

fn json_file(page: &Page, data: &Held) -> Result<Response> {
    let text = serde_json::to_vec_pretty(data).map_err(Error::internal)?;
    file(page, ("application/json", "json"), text)
}

/// For the disk, and never shown within our origin.
fn file(page: &Page, (kind, ending): (&'static str, &str), text: Vec<u8>) -> Result<Response> {
    let name = format!("attachment; filename=\"{}-account.{ending}\"", page.ctx.project.slug);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_DISPOSITION, HeaderValue::from_str(&name).map_err(Error::internal)?),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (
            HeaderName::from_static("content-security-policy"),
            HeaderValue::from_static("default-src 'none'; sandbox; frame-ancestors 'none'"),
        ),
    ];
    Ok((headers, text).into_response())
}
