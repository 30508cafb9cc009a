//! `select-account`: whether to go on as whoever is signed in in this browser, or as somebody else.

use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::form::{self, Aim, Content, Received};
use super::frame::Frame;
use super::page::Page;
use super::pages::{self, SelectAccountPage};
use super::{authorize, cookie, policy, redirect, sign_in};
use crate::app::Ctx;
use crate::error::{Result, refused};
use crate::identity::sign_in::find_session;
use crate::ids::BrowserSessionId;
use crate::model::client::Client;
use crate::oauth::authorize::{AuthorizationRequest, active_client};
use crate::secret::Secret;
use crate::store::browser_sessions::SignIn;
use crate::store::users;

/// What the form carries: the request, and the session that was offered.
#[derive(Serialize, Deserialize)]
pub struct Choice {
    request: AuthorizationRequest,
    session: BrowserSessionId,
}

impl Content for Choice {
    const KIND: &'static str = "select_account";

    fn link(&self, ctx: &Ctx) -> String {
        form::link(ctx, &self.request)
    }
}

/// Offers the account of the browser's session.
pub async fn show(
    page: &Page,
    client: &Client,
    request: AuthorizationRequest,
    session: &SignIn,
    cookie: Secret,
) -> Result<Response> {
    let (ctx, user) = (&page.ctx, session.user_id);
    let found = ctx.app.db.read(|conn| async move { users::find(&conn, ctx.project.id, user).await }).await?;
    let username = found.and_then(|user| user.username).unwrap_or_default();
    cookie::bind(ctx, Some(cookie), |cookie| {
        let shown = SelectAccountPage {
            t: ctx.texts,
            frame: Frame::of(ctx),
            client_name: &client.name,
            action: &format!("/projects/{}/select-account", ctx.project.slug),
            request: &form::seal(ctx, &Choice { request, session: session.id }, cookie)?,
            username: &username,
        };
        pages::html(200, &shown, &policy::form_targets(client))
    })
}

/// The posted form.
pub async fn submit(page: Page) -> Response {
    page.answer(chosen(&page).await)
}

async fn chosen(page: &Page) -> Result<Response> {
    let ctx = &page.ctx;
    let posted = match form::receive::<Choice>(page)? {
        Received::Valid(posted) => posted,
        Received::Stale(choice) => return pages::stale(ctx, &choice.link(ctx)),
    };
    let (Choice { request, session }, cookie) = (posted.content, posted.cookie);
    let client = active_client(ctx, request.client_id).await?;
    if !client.allows_redirect(&request.back.redirect_uri) {
        return Err(sign_in::unregistered());
    }
    match posted.fields.get("account") {
        Some("this") => {
            let back = request.back.clone();
            redirect::or_to_client(ctx, &back, go_on(page, &client, request, session, cookie).await)
        }
        Some("other") => sign_in::show(page, Some(&client), Aim::Code(Box::new(request)), Some(cookie), ""),
        _ => Err(refused(|t| &t.errors.form_incomplete)),
    }
}

/// The session is read again: it may have ended, and the request is judged by it again.
async fn go_on(
    page: &Page,
    client: &Client,
    request: AuthorizationRequest,
    session: BrowserSessionId,
    cookie: Secret,
) -> Result<Response> {
    match find_session(&page.ctx, &cookie).await?.filter(|found| found.id == session) {
        Some(found) => authorize::with_session(page, client, request, &found, cookie).await,
        None => sign_in::show(page, Some(client), Aim::Code(Box::new(request)), Some(cookie), ""),
    }
}
