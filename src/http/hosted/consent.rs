//! `consent`: what an application of others asks for, in plain words, and whether the person allows it.

use axum::response::Response;
use serde::{Deserialize, Serialize};
use url::Url;

use super::form::{self, Aim, Content, Received};
use super::frame::Frame;
use super::page::Page;
use super::pages::{self, ConsentPage};
use super::{authorize, cookie, policy, redirect, sign_in};
use crate::app::Ctx;
use crate::error::{Code, Error, Result, refused};
use crate::identity::consent::{allow, asked, is_as_shown};
use crate::identity::sign_in::{NewCode, find_session};
use crate::ids::BrowserSessionId;
use crate::model::client::Client;
use crate::model::consent::Permission;
use crate::oauth::authorize::{AuthorizationRequest, active_client};
use crate::secret::Secret;
use crate::store::browser_sessions::SignIn;
use crate::store::users;

/// What the form carries: the request, and the session it was judged by.
#[derive(Serialize, Deserialize)]
pub struct Asking {
    request: AuthorizationRequest,
    session: BrowserSessionId,
    /// Whether the session was made for this request, which settles its age as long as somebody may think about it.
    fresh: bool,
    /// The project's version in which the page was made: what it says of the scopes is judged again.
    shown_in: i64,
}

/// A sign-in for this very request is young enough while somebody reads what is asked for: the age that the request accepts
/// may be nothing. A page that was left open is another matter.
const THINKING_SECONDS: i64 = 300;

impl Content for Asking {
    const KIND: &'static str = "consent";

    fn link(&self, ctx: &Ctx) -> String {
        form::link(ctx, &self.request)
    }
}

/// Asks the person who is signed in.
pub async fn show(
    ctx: &Ctx,
    client: &Client,
    request: AuthorizationRequest,
    session: &SignIn,
    fresh: bool,
    cookie: Secret,
) -> Result<Response> {
    let user = session.user_id;
    let found = ctx.app.db.read(|conn| async move { users::find(&conn, ctx.project.id, user).await }).await?;
    let username = found.and_then(|user| user.username).unwrap_or_default();
    let wanted = asked(ctx, client, &request).unwrap_or_default();
    let back = Url::parse(&request.back.redirect_uri).ok();
    let back = back.as_ref().and_then(Url::host_str).unwrap_or_default().to_owned();
    let asking = Asking { request, session: session.id, fresh, shown_in: ctx.project.version };
    let settings = &client.settings;
    cookie::bind(ctx, Some(cookie), |cookie| {
        let shown = ConsentPage {
            t: ctx.texts,
            frame: Frame::of(ctx),
            client_name: &client.name,
            client_uri: settings.client_uri.as_deref(),
            policy_uri: settings.policy_uri.as_deref(),
            tos_uri: settings.tos_uri.as_deref(),
            action: &format!("/projects/{}/consent", ctx.project.slug),
            request: &form::seal(ctx, &asking, cookie)?,
            username: &username,
            allowances: &allowances(ctx, &wanted),
            servers: &servers(ctx, &wanted.resources),
            back: &back,
        };
        pages::html(200, &shown, &policy::form_targets(client))
    })
}

/// Each scope, and then each single claim, as a line that goes on from "It will be able to".
fn allowances(ctx: &Ctx, wanted: &Permission) -> Vec<String> {
    let claim = |name: &String| ctx.texts.consent.claim.with("claim", &name.replace('_', " ")).to_string();
    let scopes = wanted.scopes.iter().map(|name| in_words(ctx, name));
    scopes.chain(wanted.claims.iter().map(claim)).collect()
}

/// What a scope lets an application do.
pub fn in_words(ctx: &Ctx, scope: &str) -> String {
    let own = || {
        let known = ctx.entry.scopes.iter().find(|known| known.name == scope);
        known.filter(|known| !known.description.is_empty()).map(|known| known.description.clone())
    };
    let t = &ctx.texts.consent;
    let known = match scope {
        "openid" => &t.scope_openid,
        "profile" => &t.scope_profile,
        "email" => &t.scope_email,
        "address" => &t.scope_address,
        "phone" => &t.scope_phone,
        "offline_access" => &t.scope_offline_access,
        "account" => &t.scope_account,
        _ => return own().unwrap_or_else(|| scope.to_owned()),
    };
    known.to_string()
}

/// The names of resource servers.
pub fn servers(ctx: &Ctx, wanted: &[String]) -> Vec<String> {
    let known = ctx.entry.resource_servers.iter();
    known.filter(|server| wanted.contains(&server.identifier)).map(|server| server.name.clone()).collect()
}

/// The posted form.
pub async fn submit(page: Page) -> Response {
    page.answer(decided(&page).await)
}

async fn decided(page: &Page) -> Result<Response> {
    let ctx = &page.ctx;
    let posted = match form::receive::<Asking>(page)? {
        Received::Valid(posted) => posted,
        Received::Stale(asking) => return pages::stale(ctx, &asking.link(ctx)),
    };
    let (asking, cookie) = (posted.content, posted.cookie);
    let client = active_client(ctx, asking.request.client_id).await?;
    let back = asking.request.back.clone();
    if !client.allows_redirect(&back.redirect_uri) {
        return Err(sign_in::unregistered());
    }
    match posted.fields.get("decision") {
        Some("deny") => {
            let denied = Error::new(Code::AccessDenied, "the person does not allow it");
            redirect::to_client(ctx, &back, Err(&denied))
        }
        Some("allow") => redirect::or_to_client(ctx, &back, allowed(page, &client, asking, cookie).await),
        _ => Err(refused(|t| &t.errors.form_incomplete)),
    }
}

async fn allowed(page: &Page, client: &Client, asking: Asking, cookie: Secret) -> Result<Response> {
    let (ctx, Asking { request, session, fresh, shown_in }) = (&page.ctx, asking);
    let found = find_session(ctx, &cookie).await?.filter(|found| found.id == session);
    if let Some(found) = found
        && authorize::is_right(page, client, &request, &found).await?
        && (request.accepts_age(found.auth_time, ctx.now)
            || fresh && ctx.now < found.auth_time.plus_seconds(THINKING_SECONDS))
    {
        // A scope was made wider while the form was open.
        if !is_as_shown(ctx, client, &request.scope, shown_in) {
            return show(ctx, client, request, &found, fresh, cookie).await;
        }
        let code = NewCode::new(ctx, client, &request, &found)?;
        if allow(ctx, client, found.user_id, &code).await? {
            return redirect::to_client(ctx, &request.back, Ok(&code.secret));
        }
    }
    // Signed out, or too long ago for the request by now.
    sign_in::show(page, Some(client), Aim::Code(Box::new(request)), Some(cookie), "")
}
