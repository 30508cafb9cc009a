//! An authenticator app: a picture to scan, and the first code.

use askama::Template;
use axum::response::Response;

use super::super::super::frame::Frame;
use super::super::super::{cookie, pages, policy};
use super::super::{Current, enrol_path};
use super::{New, made, other_way, sealed};
use crate::app::Ctx;
use crate::error::Result;
use crate::identity::spend::NewFactor;
use crate::identity::totp::Enrolment;
use crate::model::proven::{CodeOf, Proof};
use crate::oauth::parameters::Parameters;
use crate::secret::Secret;
use crate::store::users;
use crate::texts::{Text, Texts};

/// The picture of a new seed, and the field for its first code.
#[derive(Template)]
#[template(path = "enrol_totp.html")]
struct EnrolTotpPage<'a> {
    t: &'static Texts,
    frame: Frame<'a>,
    action: &'a str,
    request: &'a str,
    /// SVG that we drew.
    picture: &'a str,
    key: &'a str,
    uri: &'a str,
    error: Option<&'a str>,
    other: Option<String>,
}

pub async fn ask(ctx: &Ctx, current: &Current) -> Result<Response> {
    let enrolment = Enrolment::begin(ctx, current.progress.user(), &account(ctx, current).await?)?;
    render(ctx, current, &enrolment, 200, None)
}

/// How apps name the account.
async fn account(ctx: &Ctx, current: &Current) -> Result<String> {
    let user = current.progress.user();
    let found = ctx.app.db.read(|conn| async move { users::find(&conn, ctx.project.id, user).await }).await?;
    Ok(found.and_then(|user| user.username).unwrap_or_default())
}

fn render(
    ctx: &Ctx,
    current: &Current,
    enrolment: &Enrolment,
    status: u16,
    error: Option<&Text>,
) -> Result<Response> {
    let targets = current.client.as_ref().map(policy::form_targets).unwrap_or_default();
    cookie::bind(ctx, Some(current.cookie.clone()), |_| {
        let page = EnrolTotpPage {
            t: ctx.texts,
            frame: Frame::of(ctx),
            action: &enrol_path(ctx),
            request: &sealed(ctx, current, New::App { seed: enrolment.sealed.clone() })?,
            picture: &enrolment.picture()?,
            key: &enrolment.key,
            uri: &enrolment.uri,
            error: error.map(Text::as_str),
            other: other_way(ctx, current),
        };
        pages::html(status, &page, &targets)
    })
}

pub async fn make(ctx: &Ctx, current: &Current, seed: &str, fields: &Parameters) -> Result<Response> {
    let (user, code) = (current.progress.user(), Secret::new(fields.get("code").unwrap_or_default()));
    let t = &ctx.texts.second_factor;
    if let Some(app) = Enrolment::confirmed(ctx, user, seed, &code, t.app_name.as_str())? {
        return made(ctx, current, Proof::OneTimeCode(CodeOf::App), NewFactor::App(app)).await;
    }
    match Enrolment::again(ctx, user, &account(ctx, current).await?, seed)? {
        Some(same) => render(ctx, current, &same, 400, Some(&t.wrong)),
        None => pages::stale(ctx, &current.carried.aim.link(ctx)),
    }
}
