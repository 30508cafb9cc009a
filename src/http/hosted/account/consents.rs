//! `account/consents`: what somebody has allowed applications of others, and the end of it.

use askama::Template;
use axum::response::Response;

use super::enter::{Filled, Matter, Visitor, enter, or_sign_in, receive};
use super::place::Place;
use super::rows::{self, Shown, in_html};
use super::shell::{Notice, Shell, go_to, notice};
use super::when::moment;
use crate::app::Ctx;
use crate::error::{Code, Result, refused};
use crate::http::hosted::consent::{in_words, servers};
use crate::http::hosted::frame::Frame;
use crate::http::hosted::page::Page;
use crate::http::hosted::{cookie, pages};
use crate::identity::account::consents;
use crate::store::consents::Listed;
use crate::texts::Texts;

const PLACE: Place = Place::Consents;
const MOST: i64 = 200;

struct Withdraw;

impl Matter for Withdraw {
    const KIND: &'static str = "account_consents";
    const PLACE: Place = PLACE;
}

#[derive(Template)]
#[template(path = "account/consents.html")]
struct ConsentsPage<'a> {
    t: &'static Texts,
    frame: Frame<'a>,
    shell: Shell,
    action: &'a str,
    request: &'a str,
    consents: Vec<Row>,
    /// Where the next ones are.
    more: Option<String>,
}

struct Row {
    id: String,
    client: String,
    since: String,
    allowances: Vec<String>,
    servers: Vec<String>,
}

impl Row {
    fn new(ctx: &Ctx, consent: Listed) -> Self {
        let claim =
            |name: &String| ctx.texts.consent.claim.with("claim", &name.replace('_', " ")).to_string();
        let scopes = consent.scopes.0.iter().map(|scope| in_words(ctx, scope));
        Self {
            id: consent.client_id.to_string(),
            client: consent.client_name,
            since: moment(consent.created_at),
            allowances: scopes.chain(consent.claims.0.iter().map(claim)).collect(),
            servers: servers(ctx, &consent.resources.0),
        }
    }

    /// What it weighs: the name is said twice, and the markup around it and around each line is about so long.
    fn bytes(&self) -> usize {
        let lines = self.allowances.iter().chain(&self.servers);
        700 + 2 * in_html(&self.client) + lines.map(|line| in_html(line) + 30).sum::<usize>()
    }
}

pub async fn show(page: Page) -> Response {
    page.answer(shown(&page).await)
}

async fn shown(page: &Page) -> Result<Response> {
    match enter(page, PLACE).await? {
        Ok(visitor) => render(page, &visitor).await,
        Err(response) => Ok(response),
    }
}

pub async fn submit(page: Page) -> Response {
    page.answer(submitted(&page).await)
}

async fn submitted(page: &Page) -> Result<Response> {
    let Filled { visitor, fields, .. } = match receive::<Withdraw>(page).await? {
        Ok(filled) => filled,
        Err(response) => return Ok(response),
    };
    let client = fields.get("withdraw").and_then(|id| id.parse().ok());
    let client = client.ok_or_else(|| refused(|t| &t.errors.form_incomplete))?;
    match consents::withdraw(&page.ctx, &visitor.holder(), client).await {
        Ok(_) => go_to(page, PLACE, Notice::ConsentWithdrawn, &visitor),
        Err(error) => match or_sign_in(page, PLACE, error)? {
            // Withdrawn already: what is there is shown.
            Ok(error) if error.code() == Code::NotFound => render(page, &visitor).await,
            Ok(error) => Err(error),
            Err(response) => Ok(response),
        },
    }
}

async fn render(page: &Page, visitor: &Visitor) -> Result<Response> {
    let ctx = &page.ctx;
    let found = consents::list(ctx, &visitor.holder(), None, MOST).await?;
    let found = found.into_iter().map(|consent| Row::new(ctx, consent)).collect();
    let Shown { rows, more } = rows::shown(page, PLACE, found, Row::bytes);
    cookie::bind(ctx, Some(visitor.cookie.clone()), |_| {
        let shown = ConsentsPage {
            t: ctx.texts,
            frame: Frame::of(ctx),
            shell: Shell::new(ctx, PLACE, notice(page), None),
            action: &PLACE.link(ctx),
            request: &visitor.seal::<Withdraw>(ctx)?,
            consents: rows,
            more,
        };
        pages::html(200, &shown, &[])
    })
}
