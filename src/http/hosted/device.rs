//! `device`: where a person types the code that a device shows, and allows the device to go on (RFC 8628, 3.3).
//!
//! ```text
//! GET device ──> form ──> POST device ──> 303 to device/confirm ─┬─> Allow / Deny ──> POST device/confirm
//!                                               ^                └─> form of the sign-in ─┐
//!                                               └──────────────── 303 ────────────────────┘
//! ```

use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::consent::{in_words, servers};
use super::form::{self, Aim, Content, Received};
use super::frame::{Frame, in_language};
use super::page::Page;
use super::pages::{self, DeviceCodePage, DeviceConfirmPage, DeviceDonePage};
use super::{cookie, factor, redirect, sign_in};
use crate::app::Ctx;
use crate::error::{Result, refused};
use crate::identity::consent::is_as_shown;
use crate::identity::needed::{Demand, Needed, of_session};
use crate::identity::sign_in::find_session;
use crate::ids::{ClientId, DeviceGrantId};
use crate::model::client::Client;
use crate::oauth::authorize::{active_client, parse};
use crate::oauth::device::{self, Entry};
use crate::projects::admins::home;
use crate::secret::Secret;
use crate::store::browser_sessions::SignIn;
use crate::store::device_grants::Waiting;
use crate::store::users;
use crate::texts::Text;

/// A code with blanks is hardly longer; what is, is not shown again.
const MOST_SHOWN: usize = 40;

/// The form for the code carries nothing but its binding to the browser.
#[derive(Serialize, Deserialize)]
struct AskForCode;

impl Content for AskForCode {
    const KIND: &'static str = "device";

    fn link(&self, ctx: &Ctx) -> String {
        path(ctx)
    }
}

/// A device that somebody has named by its code.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NamedDevice {
    id: DeviceGrantId,
    pub client_id: ClientId,
    /// As the device shows it.
    code: String,
    /// The project's version in which the page said what is asked for; 0: it has not yet.
    shown_in: i64,
}

impl Content for NamedDevice {
    const KIND: &'static str = "device_confirm";

    fn link(&self, ctx: &Ctx) -> String {
        path(ctx)
    }
}

fn path(ctx: &Ctx) -> String {
    format!("/projects/{}/device", ctx.project.slug)
}

/// Where this browser decides about the device.
pub fn confirm_link(ctx: &Ctx, named: &NamedDevice, cookie: &Secret) -> Result<String> {
    let link = format!("{}/confirm?request={}", path(ctx), form::seal(ctx, named, cookie)?);
    Ok(in_language(ctx, &link))
}

pub async fn ask(page: Page) -> Response {
    page.answer(ask_for_code(&page))
}

pub async fn head(page: Page) -> Response {
    sign_in::without_cookie(ask(page.without_browser()).await)
}

/// A code in the address is filled in, and still sent by the person (RFC 8628, 3.3.1).
fn ask_for_code(page: &Page) -> Result<Response> {
    let parameters = parse(page.call.raw_query())?;
    let typed = parameters.get("user_code").unwrap_or_default();
    render_form(&page.ctx, page.cookie(), typed, 200, None)
}

fn render_form(
    ctx: &Ctx,
    cookie: Option<Secret>,
    typed: &str,
    status: u16,
    error: Option<&Text>,
) -> Result<Response> {
    cookie::bind(ctx, cookie, |cookie| {
        let shown = DeviceCodePage {
            t: ctx.texts,
            frame: Frame::of(ctx),
            action: &path(ctx),
            request: &form::seal(ctx, &AskForCode, cookie)?,
            code: if typed.chars().count() > MOST_SHOWN { "" } else { typed },
            error: error.map(Text::as_str),
        };
        pages::html(status, &shown, &[])
    })
}

pub async fn enter(page: Page) -> Response {
    page.answer(entered(&page).await)
}

async fn entered(page: &Page) -> Result<Response> {
    let ctx = &page.ctx;
    let posted = match form::receive::<AskForCode>(page)? {
        Received::Valid(posted) => posted,
        Received::Stale(form) => return pages::stale(ctx, &form.link(ctx)),
    };
    let typed = posted.fields.get("user_code").unwrap_or_default();
    match device::enter(ctx, typed, &posted.cookie, &page.call.client_address()).await? {
        Entry::Found(Waiting { id, client_id, .. }, code) => {
            let named = NamedDevice { id, client_id, code: code.to_string(), shown_in: 0 };
            redirect::see_other(&confirm_link(ctx, &named, &posted.cookie)?)
        }
        Entry::Unknown => render_form(ctx, Some(posted.cookie), typed, 400, Some(&ctx.texts.device.unknown)),
        Entry::TooMany => render_form(ctx, Some(posted.cookie), typed, 429, Some(&ctx.texts.device.too_many)),
    }
}

pub async fn confirm(page: Page) -> Response {
    page.answer(ask_to_confirm(&page).await)
}

async fn ask_to_confirm(page: &Page) -> Result<Response> {
    let ctx = &page.ctx;
    let followed = match form::follow::<NamedDevice>(page)? {
        Received::Valid(followed) => followed,
        Received::Stale(named) => return pages::stale(ctx, &named.link(ctx)),
    };
    let named = followed.content;
    let Some(waiting) = device::waiting(ctx, named.id).await? else { return over(ctx) };
    let client = active_client(ctx, named.client_id).await?;
    let another = followed.fields.get("prompt") == Some("login");
    let session = if another { None } else { find_session(ctx, &followed.cookie).await? };
    match session {
        Some(session) if !waiting.accepts_age(session.auth_time) => {
            let aim = Aim::Device(named);
            sign_in::ask_again(page, Some(&client), aim, session.user_id, followed.cookie).await
        }
        Some(session) => match missing_of(page, &client, &waiting, &session).await? {
            Needed::Nothing => {
                render_confirm(ctx, &client, &named, &waiting, &session, followed.cookie).await
            }
            more => {
                let signed_in = (&session, followed.cookie);
                factor::step_up(page, Some(&client), Aim::Device(named), signed_in, &more).await
            }
        },
        None => sign_in::show(page, Some(&client), Aim::Device(named), Some(followed.cookie), ""),
    }
}

/// What the session lacks for what the client and the device ask for.
async fn missing_of(page: &Page, client: &Client, waiting: &Waiting, session: &SignIn) -> Result<Needed> {
    let demand = Demand { wished: waiting.wished_acr(), ..Demand::NONE };
    of_session(&page.ctx, Some(client), demand, session, page.device().as_ref()).await
}

async fn render_confirm(
    ctx: &Ctx,
    client: &Client,
    named: &NamedDevice,
    waiting: &Waiting,
    session: &SignIn,
    cookie: Secret,
) -> Result<Response> {
    let user = session.user_id;
    let found = ctx.app.db.read(|conn| async move { users::find(&conn, ctx.project.id, user).await }).await?;
    let scopes = waiting.scope.split(' ').filter(|word| !word.is_empty()).map(|scope| in_words(ctx, scope));
    let (shown_in, is_for_admins) = (ctx.project.version, home::is_for_admins(ctx, &waiting.scope).await?);
    cookie::bind(ctx, Some(cookie), |cookie| {
        let shown = DeviceConfirmPage {
            t: ctx.texts,
            frame: Frame::of(ctx),
            client_name: &client.name,
            action: &format!("{}/confirm", path(ctx)),
            request: &form::seal(ctx, &NamedDevice { shown_in, ..named.clone() }, cookie)?,
            code: &named.code,
            username: &found.and_then(|user| user.username).unwrap_or_default(),
            other: &format!("{}&prompt=login", confirm_link(ctx, named, cookie)?),
            scopes: &scopes.collect::<Vec<_>>(),
            servers: &servers(ctx, &waiting.resources()),
            is_for_admins,
        };
        pages::html(200, &shown, &[])
    })
}

pub async fn decide(page: Page) -> Response {
    page.answer(decided(&page).await)
}

async fn decided(page: &Page) -> Result<Response> {
    let ctx = &page.ctx;
    let posted = match form::receive::<NamedDevice>(page)? {
        Received::Valid(posted) => posted,
        Received::Stale(named) => return pages::stale(ctx, &named.link(ctx)),
    };
    let named = posted.content;
    let allowed = match posted.fields.get("decision") {
        Some("allow") => true,
        Some("deny") => false,
        _ => return Err(refused(|t| &t.errors.form_incomplete)),
    };
    let client = active_client(ctx, named.client_id).await?;
    let Some(session) = find_session(ctx, &posted.cookie).await? else {
        // Signed out in between.
        return sign_in::show(page, Some(&client), Aim::Device(named), Some(posted.cookie), "");
    };
    let Some(waiting) = device::waiting(ctx, named.id).await? else { return over(ctx) };
    if allowed && !waiting.accepts_age(session.auth_time) {
        let aim = Aim::Device(named);
        return sign_in::ask_again(page, Some(&client), aim, session.user_id, posted.cookie).await;
    }
    match missing_of(page, &client, &waiting, &session).await? {
        more if allowed && more != Needed::Nothing => {
            let signed_in = (&session, posted.cookie);
            return factor::step_up(page, Some(&client), Aim::Device(named), signed_in, &more).await;
        }
        _ => {}
    }
    if allowed && !is_as_shown(ctx, &client, &waiting.scope, named.shown_in) {
        return render_confirm(ctx, &client, &named, &waiting, &session, posted.cookie).await;
    }
    if !device::decide(ctx, &client, &waiting, &session, allowed).await? {
        return over(ctx);
    }
    let t = &ctx.texts.device;
    match allowed {
        true => done(ctx, 200, &t.allowed_title, &t.allowed),
        false => done(ctx, 200, &t.denied_title, &t.denied),
    }
}

/// Nobody waits for this decision any more.
fn over(ctx: &Ctx) -> Result<Response> {
    done(ctx, 400, &ctx.texts.device.over_title, &ctx.texts.device.over)
}

fn done(ctx: &Ctx, status: u16, title: &Text, message: &Text) -> Result<Response> {
    let (title, message) = (title.as_str(), message.as_str());
    pages::html(status, &DeviceDonePage { t: ctx.texts, frame: Frame::of(ctx), title, message }, &[])
}
