//! `enrol`: somebody who needs a second factor and has none makes one of those that count here, and is shown the codes for
//! the day that it is lost.
//!
//! ```text
//! GET enrol ─┬─> which one? ──> GET enrol?with=…─┐
//!            └─> there is one alone ─────────────┴─> POST enrol ─┬─> the codes ──> POST second-factor
//!                                                                └─> the same again, with what is wrong
//! ```

mod app;
mod key;

use askama::Template;
use axum::http::header;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::super::form::{self, Content, Received};
use super::super::frame::{Frame, in_language};
use super::super::page::Page;
use super::super::{cookie, pages, policy, redirect};
use super::{Current, Factoring, current, enrol_path, next_page, second_factor_path};
use crate::app::Ctx;
use crate::error::{Result, refused};
use crate::identity::fresh;
use crate::identity::needed::Needed;
use crate::identity::progress;
use crate::identity::recovery::NewCodes;
use crate::identity::spend::{NewFactor, Spend};
use crate::model::proven::Proof;
use crate::model::sign_in_policy::FactorKind;
use crate::oauth::authorize::{parse, unmet};
use crate::oauth::parameters::Parameters;
use crate::secret::Secret;
use crate::texts::Texts;

/// Which one it shall be.
#[derive(Template)]
#[template(path = "enrol.html")]
struct EnrolPage<'a> {
    t: &'static Texts,
    frame: Frame<'a>,
    choices: Vec<Choice>,
}

struct Choice {
    href: String,
    title: &'static str,
    about: &'static str,
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

/// What the form carries: which sign-in it is of, and what is made.
#[derive(Serialize, Deserialize)]
struct Enrolling {
    factoring: Factoring,
    new: New,
}

#[derive(Serialize, Deserialize)]
enum New {
    /// With the seed that no store holds yet.
    App {
        seed: String,
    },
    Passkey,
}

impl New {
    const fn kind(&self) -> FactorKind {
        match self {
            Self::App { .. } => FactorKind::Totp,
            Self::Passkey => FactorKind::Passkey,
        }
    }
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
    let kinds = match &current.needed {
        Needed::Enrol(kinds) => kinds,
        Needed::Unmet => return Err(unmet()),
        other => return redirect::see_other(&in_language(ctx, &next_page(ctx, other))),
    };
    let query = parse(page.call.raw_query())?;
    let named = kinds.iter().find(|kind| query.get("with") == Some(kind.as_str()));
    match (named, kinds.as_slice()) {
        (Some(FactorKind::Passkey), _) | (None, [FactorKind::Passkey]) => key::ask(ctx, &current).await,
        (Some(FactorKind::Totp), _) | (None, [FactorKind::Totp]) => app::ask(ctx, &current).await,
        _ => choose(ctx, kinds),
    }
}

/// What is liked best comes first.
fn choose(ctx: &Ctx, kinds: &[FactorKind]) -> Result<Response> {
    let t = ctx.texts;
    let known = [
        (FactorKind::Passkey, &t.passkey.one, &t.passkey.about),
        (FactorKind::Totp, &t.second_factor.app_name, &t.second_factor.app_about),
    ];
    let choices =
        known.into_iter().filter(|(kind, ..)| kinds.contains(kind)).map(|(kind, title, about)| Choice {
            href: in_language(ctx, &format!("{}?with={}", enrol_path(ctx), kind.as_str())),
            title: title.as_str(),
            about: about.as_str(),
        });
    let page = EnrolPage { t, frame: Frame::of(ctx), choices: choices.collect() };
    pages::html(200, &page, &[])
}

/// Where another kind is chosen, if there is one.
fn other_way(ctx: &Ctx, current: &Current) -> Option<String> {
    let Needed::Enrol(kinds) = &current.needed else { return None };
    (kinds.len() > 1).then(|| in_language(ctx, &enrol_path(ctx)))
}

/// Sealed, for the form that makes this.
fn sealed(ctx: &Ctx, current: &Current, new: New) -> Result<String> {
    form::seal(ctx, &Enrolling { factoring: current.factoring(ctx), new }, &current.cookie)
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
    let kind = enrolling.new.kind();
    if !matches!(&current.needed, Needed::Enrol(kinds) if kinds.contains(&kind)) {
        return Err(refused(|t| &t.errors.form_stale));
    }
    if current.progress.is_step_up() && !is_fresh(ctx, &current).await? {
        return pages::stale(ctx, &enrolling.link(ctx));
    }
    make(page, &current, &enrolling, &fields).await
}

async fn is_fresh(ctx: &Ctx, current: &Current) -> Result<bool> {
    let progress = &current.progress;
    fresh::is_fresh(ctx, progress.user(), (progress.auth_time(), &progress.proven().amr())).await
}

async fn make(
    page: &Page,
    current: &Current,
    enrolling: &Enrolling,
    fields: &Parameters,
) -> Result<Response> {
    match &enrolling.new {
        New::App { seed } => app::make(&page.ctx, current, seed, fields).await,
        New::Passkey => key::make(page, current, fields).await,
    }
}

/// The factor counts, and what is left to do is to keep the codes.
async fn made(ctx: &Ctx, current: &Current, proof: Proof, factor: NewFactor) -> Result<Response> {
    let codes = NewCodes::make(ctx, current.progress.user())?;
    let shown = codes.codes.clone();
    let (proven, spend) = (current.progress.proven().and(proof), Spend::New { factor, codes });
    match progress::advance(ctx, &current.progress, proven, &spend).await? {
        Some(cookie) => show_codes(ctx, current, &shown, &cookie),
        None => pages::stale(ctx, &current.carried.aim.link(ctx)),
    }
}

fn show_codes(ctx: &Ctx, current: &Current, codes: &[Secret], cookie: &Secret) -> Result<Response> {
    let shown: Vec<&str> = codes.iter().map(Secret::expose).collect();
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
