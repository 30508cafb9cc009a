//! `account/factors`: what somebody has beside a password: apps, passkeys, recovery codes, and browsers that are not asked again.

use askama::Template;
use axum::response::Response;
use uuid::Uuid;

use super::enter::{Filled, Matter, Visitor, enter, or_sign_in, receive};
use super::place::Place;
use super::rows::{self, Shown, in_html};
use super::sessions::in_words;
use super::shell::{Notice, Shell, go_to, notice};
use super::when::moment;
use super::{factor_names, passkeys};
use crate::app::Ctx;
use crate::error::{Code, Error, Result, refused};
use crate::http::hosted::frame::{Frame, in_language};
use crate::http::hosted::page::Page;
use crate::http::hosted::{cookie, pages};
use crate::identity::account::factors::{self, Added};
use crate::identity::devices;
use crate::identity::factors::Factor;
use crate::identity::passkeys::list as own_passkeys;
use crate::identity::recovery::NewCodes;
use crate::identity::totp::Enrolment;
use crate::model::sign_in_policy::FactorKind;
use crate::model::timestamp::Timestamp;
use crate::secret::Secret;
use crate::session::holder::Holder;
use crate::texts::{Text, Texts};

const PLACE: Place = Place::Factors;

struct ChangeFactors;

impl Matter for ChangeFactors {
    const KIND: &'static str = "account_factors";
    const PLACE: Place = PLACE;
}

struct AddApp;

impl Matter for AddApp {
    const KIND: &'static str = "account_factors_app";
    const PLACE: Place = PLACE;
}

#[derive(Template)]
#[template(path = "account/factors.html")]
struct FactorsPage<'a> {
    t: &'static Texts,
    frame: Frame<'a>,
    shell: Shell,
    action: &'a str,
    request: &'a str,
    /// Whether there is any factor, here or on the pages that follow.
    has_any: bool,
    factors: Vec<Row>,
    devices: Vec<Row>,
    /// Where the next ones are.
    more: Option<String>,
    codes_left: String,
    /// Where an app is added, where the project lets apps count.
    app: Option<String>,
    /// Where a passkey is made, where the project has a use for it.
    passkey: Option<String>,
}

struct Row {
    id: String,
    title: String,
    about: String,
    /// Where it gets another name; `None` for a browser.
    rename: Option<String>,
}

impl Row {
    fn device(ctx: &Ctx, device: devices::Shown) -> Self {
        let t = &ctx.texts.account_factors;
        Self {
            id: device.id.to_string(),
            title: in_words(ctx.texts, device.device),
            about: t.device_until.with("until", &moment(device.expires_at)).to_string(),
            rename: None,
        }
    }

    /// What it weighs: the title is said again by each button, and the markup around it is about so long.
    fn bytes(&self) -> usize {
        let (markup, said) = match &self.rename {
            Some(rename) => (600 + rename.len(), 3),
            None => (400, 2),
        };
        markup + said * in_html(&self.title) + in_html(&self.about)
    }
}

#[derive(Template)]
#[template(path = "account/factor_app.html")]
struct AppPage<'a> {
    t: &'static Texts,
    frame: Frame<'a>,
    shell: Shell,
    action: &'a str,
    request: &'a str,
    enrolment: &'a str,
    /// SVG that we drew.
    picture: &'a str,
    key: &'a str,
    uri: &'a str,
    wrong: bool,
}

#[derive(Template)]
#[template(path = "account/codes.html")]
struct CodesPage<'a> {
    t: &'static Texts,
    frame: Frame<'a>,
    shell: Shell,
    codes: Vec<&'a str>,
    back: String,
}

pub async fn show(page: Page) -> Response {
    page.answer(shown(&page).await)
}

async fn shown(page: &Page) -> Result<Response> {
    match enter(page, PLACE).await? {
        Ok(visitor) => render(page, &visitor, 200, None).await,
        Err(response) => Ok(response),
    }
}

pub async fn submit(page: Page) -> Response {
    page.answer(submitted(&page).await)
}

/// One button of many: `remove=<id>`, `forget=<id>`, `codes=new`.
async fn submitted(page: &Page) -> Result<Response> {
    let Filled { visitor, fields, .. } = match receive::<ChangeFactors>(page).await? {
        Ok(filled) => filled,
        Err(response) => return Ok(response),
    };
    let (ctx, holder) = (&page.ctx, visitor.holder());
    let incomplete = || refused(|t| &t.errors.form_incomplete);
    let done = if let Some(id) = fields.get("remove") {
        let id = id.parse().map_err(|_| incomplete())?;
        factors::remove(ctx, &holder, id).await.map(|()| Notice::FactorRemoved)
    } else if let Some(id) = fields.get("forget") {
        let id = id.parse().map_err(|_| incomplete())?;
        devices::forget_own(ctx, &holder, Some(id)).await.map(|_| Notice::DeviceForgotten)
    } else if fields.get("codes") == Some("new") {
        match factors::make_codes(ctx, &holder).await {
            Ok(codes) => return show_codes(page, &visitor, &codes),
            Err(error) => Err(error),
        }
    } else {
        return Err(incomplete());
    };
    match done {
        Ok(notice) => go_to(page, PLACE, notice, &visitor),
        Err(error) => refuse(page, &visitor, error).await,
    }
}

pub(super) async fn refuse(page: &Page, visitor: &Visitor, error: Error) -> Result<Response> {
    match or_sign_in(page, PLACE, error)? {
        // It is not there any more: what is there is shown.
        Ok(error) if error.code() == Code::NotFound => render(page, visitor, 200, None).await,
        Ok(error) if error.code() == Code::Conflict => {
            let text = page.ctx.texts.account_factors.not_now.to_string();
            render(page, visitor, 409, Some(text)).await
        }
        Ok(error) => Err(error),
        Err(response) => Ok(response),
    }
}

async fn render(page: &Page, visitor: &Visitor, status: u16, error: Option<String>) -> Result<Response> {
    let ctx = &page.ctx;
    let found = factors::list(ctx, &visitor.holder()).await?;
    let devices = devices::list(ctx, visitor.user.id).await?;
    let unusable = unusable(ctx, &visitor.holder(), &found.items).await?;
    let has_any = !found.items.is_empty();
    let factors = found.items.into_iter().map(|factor| row(ctx, factor, &unusable));
    let rows = factors.chain(devices.into_iter().map(|device| Row::device(ctx, device))).collect();
    let Shown { rows, more } = rows::shown(page, PLACE, rows, Row::bytes);
    let (factors, devices) = rows.into_iter().partition(|row| row.rename.is_some());
    let notice = notice(page).filter(|_| error.is_none());
    cookie::bind(ctx, Some(visitor.cookie.clone()), |_| {
        let shown = FactorsPage {
            t: ctx.texts,
            frame: Frame::of(ctx),
            shell: Shell::new(ctx, PLACE, notice, error),
            action: &PLACE.link(ctx),
            request: &visitor.seal::<ChangeFactors>(ctx)?,
            has_any,
            factors,
            devices,
            more,
            codes_left: found.recovery_codes_left.to_string(),
            app: counts(ctx, FactorKind::Totp).then(|| in_language(ctx, &app_link(ctx))),
            passkey: passkeys::are_offered(ctx).then(|| in_language(ctx, &passkeys::link(ctx))),
        };
        pages::html(status, &shown, &[])
    })
}

fn row(ctx: &Ctx, factor: Factor, unusable: &[Uuid]) -> Row {
    let about = match unusable.contains(&factor.id) {
        true => ctx.texts.passkey.unusable.to_string(),
        false => about(ctx, factor.kind, factor.last_used_at),
    };
    let rename = Some(in_language(ctx, &factor_names::link(ctx, &factor)));
    Row { id: factor.id.to_string(), title: factor.name, about, rename }
}

/// Passkeys that were made while the server had another host.
async fn unusable(ctx: &Ctx, holder: &Holder<'_>, factors: &[Factor]) -> Result<Vec<Uuid>> {
    if factors.iter().all(|factor| factor.kind != FactorKind::Passkey) {
        return Ok(Vec::new());
    }
    let found = own_passkeys(ctx, holder.user()).await?;
    Ok(found.into_iter().filter(|passkey| !passkey.usable).map(|passkey| passkey.id.0).collect())
}

/// What it is, and when it was used.
fn about(ctx: &Ctx, kind: FactorKind, used: Option<Timestamp>) -> String {
    let t = &ctx.texts.account_factors;
    let kind = match kind {
        FactorKind::Totp => &t.kind_totp,
        FactorKind::Passkey => &t.kind_passkey,
        FactorKind::EmailCode => &t.kind_email_code,
    };
    let used = match used {
        Some(at) => t.used.with("used", &moment(at)).to_string(),
        None => t.unused.to_string(),
    };
    format!("{kind} \u{b7} {used}")
}

/// Whether factors of this kind count in this project.
fn counts(ctx: &Ctx, kind: FactorKind) -> bool {
    ctx.project.settings.sign_in.factors.contains(&kind)
}

pub(super) fn app_link(ctx: &Ctx) -> String {
    format!("{}/app", PLACE.link(ctx))
}

pub async fn show_app(page: Page) -> Response {
    page.answer(app_shown(&page).await)
}

async fn app_shown(page: &Page) -> Result<Response> {
    match enter(page, PLACE).await? {
        Ok(visitor) => {
            let enrolment = Enrolment::begin(&page.ctx, visitor.user.id, visitor.username())?;
            render_app(page, &visitor, &enrolment, 200, None)
        }
        Err(response) => Ok(response),
    }
}

fn render_app(
    page: &Page,
    visitor: &Visitor,
    enrolment: &Enrolment,
    status: u16,
    error: Option<&Text>,
) -> Result<Response> {
    let ctx = &page.ctx;
    let wrong = error.is_some();
    cookie::bind(ctx, Some(visitor.cookie.clone()), |_| {
        let shown = AppPage {
            t: ctx.texts,
            frame: Frame::of(ctx),
            shell: Shell::new(ctx, PLACE, None, error.map(Text::to_string)),
            action: &app_link(ctx),
            request: &visitor.seal::<AddApp>(ctx)?,
            enrolment: &enrolment.sealed,
            picture: &enrolment.picture()?,
            key: &enrolment.key,
            uri: &enrolment.uri,
            wrong,
        };
        pages::html(status, &shown, &[])
    })
}

pub async fn submit_app(page: Page) -> Response {
    page.answer(app_submitted(&page).await)
}

async fn app_submitted(page: &Page) -> Result<Response> {
    let Filled { visitor, fields, .. } = match receive::<AddApp>(page).await? {
        Ok(filled) => filled,
        Err(response) => return Ok(response),
    };
    let (ctx, t) = (&page.ctx, &page.ctx.texts.account_factors);
    let sealed = fields.get("enrolment").unwrap_or_default();
    let code = Secret::new(fields.get("code").unwrap_or_default());
    let name = fields.get("name").unwrap_or(t.app_name.as_str());
    match factors::add_app(ctx, &visitor.holder(), sealed, &code, name).await {
        Ok(Some(Added { codes: Some(codes), .. })) => show_codes(page, &visitor, &codes),
        Ok(Some(Added { codes: None, .. })) => go_to(page, PLACE, Notice::FactorAdded, &visitor),
        Ok(None) => match Enrolment::again(ctx, visitor.user.id, visitor.username(), sealed)? {
            Some(same) => render_app(page, &visitor, &same, 400, Some(&t.wrong)),
            None => pages::stale(ctx, &app_link(ctx)),
        },
        Err(error) if error.code() == Code::InvalidRequest => {
            match Enrolment::again(ctx, visitor.user.id, visitor.username(), sealed)? {
                Some(same) => render_app(page, &visitor, &same, 400, Some(&t.bad_name)),
                None => pages::stale(ctx, &app_link(ctx)),
            }
        }
        Err(error) => refuse(page, &visitor, error).await,
    }
}

/// Shown this once.
pub(super) fn show_codes(page: &Page, visitor: &Visitor, codes: &NewCodes) -> Result<Response> {
    let ctx = &page.ctx;
    cookie::bind(ctx, Some(visitor.cookie.clone()), |_| {
        let shown = CodesPage {
            t: ctx.texts,
            frame: Frame::of(ctx),
            shell: Shell::new(ctx, PLACE, None, None),
            codes: codes.codes.iter().map(Secret::expose).collect(),
            back: in_language(ctx, &PLACE.link(ctx)),
        };
        pages::html(200, &shown, &[])
    })
}
