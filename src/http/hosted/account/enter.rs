//! Who is at the account page, and the forms that only their session may post.

use std::marker::PhantomData;

use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::place::Place;
use crate::app::Ctx;
use crate::error::{Code, Error, Result};
use crate::http::hosted::form::{self, Aim, Content, Received};
use crate::http::hosted::page::Page;
use crate::http::hosted::{pages, sign_in};
use crate::identity::fresh;
use crate::identity::sign_in::find_session;
use crate::ids::BrowserSessionId;
use crate::model::user::User;
use crate::oauth::parameters::Parameters;
use crate::projects::users;
use crate::secret::Secret;
use crate::session::holder::Holder;
use crate::store::browser_sessions::SignIn;

/// Whoever is signed in.
pub struct Visitor {
    pub session: SignIn,
    pub cookie: Secret,
    pub user: User,
}

impl Visitor {
    pub fn holder(&self) -> Holder<'_> {
        Holder::Browser(&self.session)
    }

    pub fn username(&self) -> &str {
        self.user.username.as_deref().unwrap_or_default()
    }

    /// Their form of this kind.
    pub fn seal<M: Matter>(&self, ctx: &Ctx) -> Result<String> {
        let content =
            OfSession::<M> { session: self.session.id, seen: self.user.version, matter: PhantomData };
        form::seal(ctx, &content, &self.cookie)
    }
}

/// Who is here; or the sign-in that comes back, where nobody is signed in, or not lately enough for this page.
pub async fn enter(page: &Page, place: Place) -> Result<Result<Visitor, Response>> {
    let ctx = &page.ctx;
    let cookie = page.cookie();
    let session = match &cookie {
        Some(cookie) => find_session(ctx, cookie).await?,
        None => None,
    };
    let (Some(session), Some(cookie)) = (session, cookie) else { return sign_in(page, place).map(Err) };
    let user = match users::find(ctx, session.user_id).await {
        Ok(user) => user,
        // Deleted this very moment.
        Err(error) if error.code() == Code::NotFound => return sign_in(page, place).map(Err),
        Err(error) => return Err(error),
    };
    let proven = (session.auth_time, session.amr.as_str());
    if place.is_sensitive() && !fresh::is_fresh(ctx, session.user_id, proven).await? {
        let aim = Aim::Account(place);
        return sign_in::ask_again(page, None, aim, session.user_id, cookie).await.map(Err);
    }
    Ok(Ok(Visitor { session, cookie, user }))
}

/// The form, for whoever it is.
fn sign_in(page: &Page, place: Place) -> Result<Response> {
    sign_in::show(page, None, Aim::Account(place), page.cookie(), "")
}

/// A kind of form, and the page that it belongs to.
pub trait Matter {
    const KIND: &'static str;
    const PLACE: Place;
}

/// What a form of the account carries: whose session may post it, and which version of the record was shown.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct OfSession<M> {
    session: BrowserSessionId,
    seen: i64,
    #[serde(skip)]
    matter: PhantomData<M>,
}

impl<M: Matter> Content for OfSession<M> {
    const KIND: &'static str = M::KIND;

    fn link(&self, ctx: &Ctx) -> String {
        M::PLACE.link(ctx)
    }
}

/// A form that came back from the session that it was made for.
pub struct Filled {
    pub visitor: Visitor,
    pub fields: Parameters,
    /// The version of the record that was shown.
    pub seen: i64,
}

/// The posted form; or the page that is shown instead, for a form that is stale or a session that has ended.
///
/// # Errors
/// `invalid_request` for what this project did not seal for this use, and for what another site sent.
pub async fn receive<M: Matter>(page: &Page) -> Result<Result<Filled, Response>> {
    let posted = match form::receive::<OfSession<M>>(page)? {
        Received::Valid(posted) => posted,
        Received::Stale(content) => return pages::stale(&page.ctx, &content.link(&page.ctx)).map(Err),
    };
    let visitor = match enter(page, M::PLACE).await? {
        Ok(visitor) => visitor,
        Err(response) => return Ok(Err(response)),
    };
    if visitor.session.id != posted.content.session {
        return pages::stale(&page.ctx, &posted.content.link(&page.ctx)).map(Err);
    }
    Ok(Ok(Filled { visitor, fields: posted.fields, seen: posted.content.seen }))
}

/// What a decision was refused for, if that is for the page to say; a session that ended meanwhile leads to the sign-in.
pub fn or_sign_in(page: &Page, place: Place, error: Error) -> Result<Result<Error, Response>> {
    match error.code() {
        Code::LoginRequired => sign_in(page, place).map(Err),
        Code::ServerError => Err(error),
        _ => Ok(Ok(error)),
    }
}
