//! `enrol`: somebody who needs a second factor and has none makes one, and is shown the codes for the day that it is lost.

use askama::Template;
use axum::http::header;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::super::form::{self, Content, Received};
use super::super::frame::{Frame, in_language};
use super::super::page::Page;
use super::super::{cookie, pages, policy, redirect};
use super::second_factor::led;
use super::{Current, Factoring, Step, current, enrol_path, go_on, next_page, second_factor_path};
use crate::app::Ctx;
use crate::error::{Result, refused};
use crate::identity::factors;
use crate::identity::fresh;
use crate::identity::needed::Needed;
use crate::identity::progress;
use crate::identity::recovery::NewCodes;
use crate::identity::spend::Spend;
use crate::identity::totp::Enrolment;
use crate::model::proven::Proof;
use crate::model::sign_in_policy::FactorKind;
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
}

/// Shown once, and never again.
#[derive(Template)]
#[template(path = "recovery_codes.html")]
struct RecoveryCodesPage<'a> {
    t: &'static Texts,
    frame: Frame<'a>,
    action: &'a str,
    request: &'a str,
    codes: &'a [&'a str],
}

/// What the form carries: which sign-in it is of, and the seed that no store holds yet.
#[derive(Serialize, Deserialize)]
struct Enrolling {
    factoring: Factoring,
    seed: String,
}

impl Content for Enrolling {
    const KIND: &'static str = "enrol";

    fn link(&self, ctx: &Ctx) -> String {
        self.factoring.link(ctx)
    }
}

pub async fn get(page: Page) -> Response {
    page.answer(ask(&page).await)
}

async fn ask(page: &Page) -> Result<Response> {
    let ctx = &page.ctx;
    let current = current(page).await?;
    match &current.needed {
        Needed::Enrol(kinds) if kinds.contains(&FactorKind::Totp) => {
            let enrolment = Enrolment::begin(ctx, current.progress.user(), &account(ctx, &current).await?)?;
            render(ctx, &current, &enrolment, 200, None)
        }
        Needed::Enrol(_) | Needed::Unmet => Err(crate::oauth::authorize::unmet()),
        other => redirect::see_other(&in_language(ctx, &next_page(ctx, other))),
    }
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
    let enrolling = Enrolling { factoring: current.factoring(ctx), seed: enrolment.sealed.clone() };
    let targets = current.client.as_ref().map(policy::form_targets).unwrap_or_default();
    cookie::bind(ctx, Some(current.cookie.clone()), |cookie| {
        let page = EnrolTotpPage {
            t: ctx.texts,
            frame: Frame::of(ctx),
            action: &enrol_path(ctx),
            request: &form::seal(ctx, &enrolling, cookie)?,
            picture: &enrolment.picture()?,
            key: &enrolment.key,
            uri: &enrolment.uri,
            error: error.map(Text::as_str),
        };
        pages::html(status, &page, &targets)
    })
}

/// The posted form.
pub async fn post(page: Page) -> Response {
    page.answer(confirm(&page).await)
}

async fn confirm(page: &Page) -> Result<Response> {
    let ctx = &page.ctx;
    let posted = match form::receive::<Enrolling>(page)? {
        Received::Valid(posted) => posted,
        Received::Stale(enrolling) => return pages::stale(ctx, &enrolling.link(ctx)),
    };
    let (enrolling, fields, cookie) = (posted.content, posted.fields, posted.cookie);
    let found = progress::find(ctx, &cookie).await?.filter(|found| found.id() == enrolling.factoring.id);
    let Some(progress) = found else { return pages::stale(ctx, &enrolling.link(ctx)) };
    let current = Current::of(page, progress, cookie).await?;
    let may_make = matches!(&current.needed, Needed::Enrol(kinds) if kinds.contains(&FactorKind::Totp));
    if !may_make {
        return Err(refused(|t| &t.errors.form_stale));
    }
    let proven = (current.progress.auth_time(), current.progress.proven().amr());
    if !fresh::is_fresh(ctx, current.progress.user(), (proven.0, &proven.1)).await?
        && current.progress.is_step_up()
    {
        return pages::stale(ctx, &enrolling.link(ctx));
    }
    let (user, code) = (current.progress.user(), Secret::new(fields.get("code").unwrap_or_default()));
    let t = &ctx.texts.second_factor;
    let name = t.app_name.as_str();
    let Some(factor) = Enrolment::confirmed(ctx, user, &enrolling.seed, &code, name)? else {
        let account = account(ctx, &current).await?;
        return match Enrolment::again(ctx, user, &account, &enrolling.seed)? {
            Some(same) => render(ctx, &current, &same, 400, Some(&t.wrong)),
            None => pages::stale(ctx, &enrolling.link(ctx)),
        };
    };
    let codes = match factors::list(ctx, user).await?.recovery_codes_left {
        0 => Some(NewCodes::make(ctx, user)?),
        _ => None,
    };
    made(page, &current, Spend::NewTotp { factor, codes }).await
}

/// The factor counts, and what is left to do is to keep the codes.
async fn made(page: &Page, current: &Current, spend: Spend) -> Result<Response> {
    let ctx = &page.ctx;
    let proven = current.progress.proven().and(Proof::OneTimeCode);
    let again = || pages::stale(ctx, &current.carried.aim.link(ctx));
    let Spend::NewTotp { codes: Some(codes), .. } = &spend else {
        let sign_in = current.progress.sign_in(ctx, proven)?;
        let last = Some((&current.progress, &spend));
        let step = Step { sign_in, cookie: &current.cookie, last, remember: false };
        let gone = go_on(page, &current.carried, &step).await?;
        return led(ctx, current, gone).unwrap_or_else(again);
    };
    match progress::advance(ctx, &current.progress, proven, &spend).await? {
        Some(cookie) => show_codes(ctx, current, codes, &cookie),
        None => again(),
    }
}

fn show_codes(ctx: &Ctx, current: &Current, codes: &NewCodes, cookie: &Secret) -> Result<Response> {
    let shown: Vec<&str> = codes.codes.iter().map(Secret::expose).collect();
    let page = RecoveryCodesPage {
        t: ctx.texts,
        frame: Frame::of(ctx),
        action: &second_factor_path(ctx),
        request: &form::seal(ctx, &current.factoring(ctx), cookie)?,
        codes: &shown,
    };
    let targets = current.client.as_ref().map(policy::form_targets).unwrap_or_default();
    let mut response = pages::html(200, &page, &targets)?;
    response.headers_mut().insert(header::SET_COOKIE, cookie::set(ctx, cookie)?);
    Ok(response)
}
