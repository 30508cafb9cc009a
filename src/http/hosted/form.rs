//! The forms of the pages. What a form is about travels in it, sealed: nothing is stored for somebody who may never come
//! back.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::device::NamedDevice;
use super::page::Page;
use crate::app::Ctx;
use crate::error::{Error, Result, refused};
use crate::ids::{ClientId, UserId};
use crate::keys::master::Place;
use crate::model::timestamp::Timestamp;
use crate::oauth::authorize::{AuthorizationRequest, parse};
use crate::oauth::parameters::Parameters;
use crate::secret::{Secret, decode_base64url, encode_base64url, equal_in_constant_time};

/// A form may be filled in for this long; the cookie that it is bound to is set with it, and lives as long.
const FORM_SECONDS: i64 = 3600;

/// What is carried by a form, and by that kind of form alone.
pub trait Content: Serialize + DeserializeOwned {
    const KIND: &'static str;

    /// Where the same begins anew.
    fn link(&self, ctx: &Ctx) -> String;
}

/// What a sign-in is for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Aim {
    /// A code for the application.
    Code(Box<AuthorizationRequest>),
    /// A browser that is signed in: the application makes its own requests, with PKCE, and will find it so.
    BrowserSession(ClientId),
    /// A decision about a device.
    Device(NamedDevice),
    /// A page of one's own account.
    Account(AccountPage),
}

/// The pages of one's own account, by name: a sign-in leads to none but these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccountPage {
    Overview,
    Profile,
    Email,
    Password,
    Factors,
    Sessions,
    Consents,
    Data,
    Delete,
}

impl AccountPage {
    /// Under the project's address.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Overview => "/account",
            Self::Profile => "/account/profile",
            Self::Email => "/account/email",
            Self::Password => "/account/password",
            Self::Factors => "/account/factors",
            Self::Sessions => "/account/sessions",
            Self::Consents => "/account/consents",
            Self::Data => "/account/data",
            Self::Delete => "/account/delete",
        }
    }
}

impl Aim {
    /// `None`: it is for the person alone.
    pub fn client_id(&self) -> Option<ClientId> {
        match self {
            Self::Code(request) => Some(request.client_id),
            Self::BrowserSession(client) => Some(*client),
            Self::Device(named) => Some(named.client_id),
            Self::Account(_) => None,
        }
    }

    /// Where the same begins anew.
    pub fn link(&self, ctx: &Ctx) -> String {
        match self {
            Self::Code(request) => link(ctx, request),
            Self::BrowserSession(client) => {
                format!("/projects/{}/sign-in?client_id={client}", ctx.project.slug)
            }
            Self::Device(named) => named.link(ctx),
            Self::Account(page) => format!("/projects/{}{}", ctx.project.slug, page.path()),
        }
    }
}

/// What the form of a sign-in carries.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Asked {
    pub aim: Aim,
    /// Who is signed in here, and shows again that it is they; `None`: whoever it is.
    pub user: Option<UserId>,
}

impl Content for Asked {
    const KIND: &'static str = "sign_in";

    fn link(&self, ctx: &Ctx) -> String {
        self.aim.link(ctx)
    }
}

/// The authorization request once more.
pub fn link(ctx: &Ctx, request: &AuthorizationRequest) -> String {
    format!("/projects/{}/oauth2/authorize?{}", ctx.project.slug, request.to_query())
}

#[derive(Serialize, Deserialize)]
struct Sealed<T> {
    content: T,
    /// The hash of the cookie of the browser that the form was made for.
    browser: String,
    expires_at: Timestamp,
}

pub fn seal<T: Content>(ctx: &Ctx, content: &T, cookie: &Secret) -> Result<String> {
    let expires_at = ctx.now.plus_seconds(FORM_SECONDS);
    let sealed = Sealed { content, browser: encode_base64url(&cookie.sha256()), expires_at };
    let plain = serde_json::to_vec(&sealed).map_err(Error::internal)?;
    Ok(encode_base64url(&ctx.app.master_keys.seal(&ctx.app.entropy, &place::<T>(ctx), &plain)?))
}

/// A form that came back, and what this project sealed in it.
pub enum Received<T> {
    Valid(Posted<T>),
    /// Too old, or another browser's: it may say where to start anew, and nothing else.
    Stale(T),
}

pub struct Posted<T> {
    pub content: T,
    pub fields: Parameters,
    /// Of the browser that the form was made for.
    pub cookie: Secret,
}

/// The posted form. The binding to the cookie is the protection against forged posts: another site cannot read a form that
/// was made for this browser (RFC 9700, 4.7).
///
/// # Errors
/// `invalid_request` for what this project did not seal for this use, and for what another site sent.
pub fn receive<T: Content>(page: &Page) -> Result<Received<T>> {
    let fields = page.form()?;
    if page.is_from_elsewhere() {
        return Err(refused(|t| &t.errors.form_stale));
    }
    judge(page, fields)
}

/// The same of a link that this browser was sent to. It does nothing but show the next form.
///
/// # Errors
/// `invalid_request` for what this project did not seal for this use.
pub fn follow<T: Content>(page: &Page) -> Result<Received<T>> {
    judge(page, parse(page.call.raw_query())?)
}

fn judge<T: Content>(page: &Page, fields: Parameters) -> Result<Received<T>> {
    let cookie = page.cookie();
    let text = fields.get("request").unwrap_or_default();
    let sealed = open::<T>(&page.ctx, text).ok_or_else(|| refused(|t| &t.errors.form_stale))?;
    let is_ours = |cookie: &Secret| {
        equal_in_constant_time(encode_base64url(&cookie.sha256()).as_bytes(), sealed.browser.as_bytes())
    };
    match cookie.filter(|cookie| is_ours(cookie) && sealed.expires_at > page.ctx.now) {
        Some(cookie) => Ok(Received::Valid(Posted { content: sealed.content, fields, cookie })),
        None => Ok(Received::Stale(sealed.content)),
    }
}

fn open<T: Content>(ctx: &Ctx, text: &str) -> Option<Sealed<T>> {
    let plain = ctx.app.master_keys.open(&place::<T>(ctx), &decode_base64url(text)?).ok()?;
    serde_json::from_slice(&plain).ok()
}

fn place<T: Content>(ctx: &Ctx) -> Place<'_> {
    Place { table: "form", project: ctx.project.id, row: "", column: T::KIND }
}
