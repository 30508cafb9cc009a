//! `link/{kind}`: what a letter leads to. The link shows a form, bound to the browser like every other, and changes nothing;
//! the form does what the link is for, once.

mod address;
mod join;
mod new_password;
mod objection;

use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::form::{self, Content, Posted, Received};
use super::frame::in_language;
use super::note::note;
use super::page::Page;
use super::{cookie, sign_in};
use crate::app::Ctx;
use crate::error::{Code, Error, Result};
use crate::identity::links::{self, Found, Kind};
use crate::identity::sign_up::still_holds;
use crate::oauth::authorize::parse;
use crate::secret::Secret;

/// A link that was followed: its form carries it on.
#[derive(Clone, Serialize, Deserialize)]
struct Followed {
    kind: Kind,
    token: String,
}

impl Content for Followed {
    const KIND: &'static str = "mail_link";

    fn link(&self, ctx: &Ctx) -> String {
        in_language(ctx, &format!("{}?token={}", path(ctx, self.kind), self.token))
    }
}

fn path(ctx: &Ctx, kind: Kind) -> String {
    format!("/projects/{}/link/{}", ctx.project.slug, kind.as_str())
}

/// What a page of a link is made from.
struct Shown<'a> {
    ctx: &'a Ctx,
    action: String,
    /// The link, sealed.
    request: String,
    found: &'a Found,
}

impl<'a> Shown<'a> {
    fn new(ctx: &'a Ctx, followed: &Followed, found: &'a Found, cookie: &Secret) -> Result<Self> {
        let request = form::seal(ctx, followed, cookie)?;
        Ok(Self { ctx, action: path(ctx, followed.kind), request, found })
    }
}

pub async fn open(page: Page) -> Response {
    let page = in_language_of_letter(page).await;
    page.answer(opened(&page).await)
}

pub async fn head(page: Page) -> Response {
    sign_in::without_cookie(open(page.without_browser()).await)
}

/// A letter in German leads to a page in German, unless the browser's person asks for something else.
async fn in_language_of_letter(page: Page) -> Page {
    if page.ctx.language_asked {
        return page;
    }
    let language = match followed(&page) {
        Ok(followed) => find(&page.ctx, &followed).await.ok().flatten().map(|found| found.content.language),
        Err(_) => None,
    };
    match language.as_deref().and_then(crate::texts::find) {
        Some(texts) => page.speaking(texts),
        None => page,
    }
}

fn followed(page: &Page) -> Result<Followed> {
    let nothing = || Error::for_people(Code::NotFound, |t| &t.errors.nothing);
    let kind: String = page.call.path("kind").map_err(|_| nothing())?;
    let kind = Kind::from_text(&kind).ok_or_else(nothing)?;
    let token = parse(page.call.raw_query())?.get("token").unwrap_or_default().to_owned();
    Ok(Followed { kind, token })
}

async fn find(ctx: &Ctx, followed: &Followed) -> Result<Option<Found>> {
    let found = links::find(ctx, followed.kind, &Secret::new(followed.token.as_str())).await?;
    let joins = matches!(followed.kind, Kind::SignUp | Kind::Invitation);
    Ok(found.filter(|found| !joins || still_holds(ctx, found)))
}

async fn opened(page: &Page) -> Result<Response> {
    let (ctx, followed) = (&page.ctx, followed(page)?);
    let Some(found) = find(ctx, &followed).await? else { return gone(ctx, followed.kind) };
    let owner = new_password::owner(ctx, &found).await?;
    let date = objection::date(ctx, &found).await?;
    cookie::bind(ctx, page.cookie(), |cookie| {
        let shown = Shown::new(ctx, &followed, &found, cookie)?;
        match followed.kind {
            Kind::NewPassword => new_password::render(&shown, &owner, 200, None),
            Kind::VerifyAddress | Kind::ChangeAddress => address::render(&shown, followed.kind),
            Kind::SignUp | Kind::Invitation => join::render(&shown, "", 200, None),
            Kind::Objection => objection::render(&shown, &owner, date.as_deref().unwrap_or_default()),
        }
    })
}

pub async fn submit(page: Page) -> Response {
    page.answer(submitted(&page).await)
}

async fn submitted(page: &Page) -> Result<Response> {
    let ctx = &page.ctx;
    let posted = match form::receive::<Followed>(page)? {
        Received::Valid(posted) => posted,
        Received::Stale(followed) => {
            let t = &ctx.texts.errors;
            let way = followed.link(ctx);
            return note(ctx, 400, &t.stale_title, &t.stale, Some((&way, &ctx.texts.mail_link.again)));
        }
    };
    let kind = posted.content.kind;
    let Some(found) = find(ctx, &posted.content).await? else { return gone(ctx, kind) };
    let done = match kind {
        Kind::NewPassword => new_password::submit(page, posted, &found).await?,
        Kind::VerifyAddress | Kind::ChangeAddress => address::submit(page, kind, &found).await?,
        Kind::SignUp | Kind::Invitation => join::submit(page, posted, &found).await?,
        Kind::Objection => objection::submit(page, &found).await?,
    };
    done.map_or_else(|| gone(ctx, kind), Ok)
}

/// Unknown, used, expired, overtaken, of another project: nobody is told which.
fn gone(ctx: &Ctx, kind: Kind) -> Result<Response> {
    let t = &ctx.texts.mail_link;
    let forgotten = in_language(ctx, &format!("/projects/{}/forgotten-password", ctx.project.slug));
    let way = (kind == Kind::NewPassword).then_some((forgotten.as_str(), &t.ask_again));
    note(ctx, 400, &t.gone_title, &t.gone, way)
}

type PostedLink = Posted<Followed>;
