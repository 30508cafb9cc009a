//! `second-factor`: what stands beside the password, or beside the session.

use askama::Template;
use axum::response::Response;

use super::super::frame::{Frame, in_language};
use super::super::page::Page;
use super::super::pages::{self, ErrorPage};
use super::super::passkey::{self, PasskeyForm};
use super::super::{cookie, policy, redirect};
use super::{Current, Gone, Step, current, go_on, next_page, posted, second_factor_path};
use crate::app::Ctx;
use crate::error::{Result, refused};
use crate::identity::email_code;
use crate::identity::factors;
use crate::identity::needed::{Needed, policy_at};
use crate::identity::progress::{self, Accepted, Attempt, Shown};
use crate::identity::spend::Spend;
use crate::model::proven::{Acr, Proven};
use crate::model::sign_in_policy::FactorKind;
use crate::oauth::authorize::parse;
use crate::oauth::parameters::Parameters;
use crate::secret::Secret;
use crate::texts::{Text, Texts};

/// A factor, or the code that stands in for one that was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Factor(FactorKind),
    RecoveryCode,
}

impl Way {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Factor(kind) => kind.as_str(),
            Self::RecoveryCode => "recovery_code",
        }
    }
}

/// Asks for one factor, and offers the others.
#[derive(Template)]
#[template(path = "second_factor.html")]
struct SecondFactorPage<'a> {
    t: &'static Texts,
    frame: Frame<'a>,
    action: &'a str,
    /// Sealed, and says which sign-in it is of.
    request: &'a str,
    /// What this page asks for; `None`: nothing is missing any more.
    way: Option<&'static str>,
    /// Whether a code is asked for that is on its way by mail, or has still to be mailed.
    sent: bool,
    unsent: bool,
    /// What else would do: the value of `with`, and how it reads.
    others: &'a [(&'static str, &'a str)],
    /// For how many days the browser can be remembered; 0: it cannot.
    remember_days: &'a str,
    passkey: Option<PasskeyForm>,
    error: Option<&'a str>,
}

/// What would do here, what is liked best first.
async fn ways(ctx: &Ctx, current: &Current) -> Result<Vec<Way>> {
    let Needed::Factor(kinds) = &current.needed else { return Ok(Vec::new()) };
    let liked = [FactorKind::Passkey, FactorKind::Totp, FactorKind::EmailCode];
    let mut ways: Vec<Way> = liked.into_iter().filter(|kind| kinds.contains(kind)).map(Way::Factor).collect();
    // It stands in for what was lost, and never for a passkey that is asked for as such.
    let demand = super::demand_of(&current.carried.aim);
    if demand.least < Acr::PhishingResistant
        && factors::list(ctx, current.progress.user()).await?.recovery_codes_left > 0
    {
        ways.push(Way::RecoveryCode);
    }
    Ok(ways)
}

pub async fn get(page: Page) -> Response {
    page.answer(ask(&page).await)
}

/// A browser without a cookie has nothing in progress.
pub async fn head(page: Page) -> Response {
    get(page.without_browser()).await
}

async fn ask(page: &Page) -> Result<Response> {
    let ctx = &page.ctx;
    let current = current(page).await?;
    if matches!(current.needed, Needed::Enrol(_)) {
        return redirect::see_other(&in_language(ctx, &next_page(ctx, &current.needed)));
    }
    let ways = ways(ctx, &current).await?;
    let query = parse(page.call.raw_query())?;
    let chosen = query.get("with").and_then(|with| ways.iter().find(|way| way.as_str() == with));
    render(ctx, &current, &ways, chosen.or(ways.first()).copied(), 200, None).await
}

async fn render(
    ctx: &Ctx,
    current: &Current,
    ways: &[Way],
    way: Option<Way>,
    status: u16,
    error: Option<&Text>,
) -> Result<Response> {
    let t = &ctx.texts.second_factor;
    let name = |way: Way| match way {
        Way::Factor(FactorKind::Totp) => &t.use_totp,
        Way::Factor(FactorKind::Passkey) => &t.use_passkey,
        Way::Factor(FactorKind::EmailCode) => &t.use_email_code,
        Way::RecoveryCode => &t.use_recovery_code,
    };
    let others: Vec<_> = ways.iter().filter(|other| Some(**other) != way).collect();
    let others: Vec<_> = others.into_iter().map(|other| (other.as_str(), name(*other).as_str())).collect();
    let days = match current.progress.is_step_up() {
        true => 0,
        false => policy_at(ctx, current.client.as_ref()).remember_device_days,
    };
    let targets = current.client.as_ref().map(policy::form_targets).unwrap_or_default();
    let by_mail = way == Some(Way::Factor(FactorKind::EmailCode));
    let sent = email_code::is_sent(ctx, &current.progress)?;
    let passkey = match way {
        Some(Way::Factor(FactorKind::Passkey)) => {
            passkey::second(ctx, &current.progress, second_factor_path(ctx)).await?
        }
        _ => None,
    };
    cookie::bind(ctx, Some(current.cookie.clone()), |_| {
        let scripted = passkey.is_some();
        let page = SecondFactorPage {
            t: ctx.texts,
            frame: Frame::of(ctx),
            action: &second_factor_path(ctx),
            request: &current.sealed(ctx)?,
            way: way.map(Way::as_str),
            sent: by_mail && sent,
            unsent: by_mail && !sent,
            others: &others,
            remember_days: &if days == 0 { String::new() } else { days.to_string() },
            passkey,
            error: error.map(Text::as_str),
        };
        passkey::html(ctx, status, &page, &targets, scripted)
    })
}

/// The posted form.
pub async fn post(page: Page) -> Response {
    page.answer(judge(&page).await)
}

async fn judge(page: &Page) -> Result<Response> {
    let ctx = &page.ctx;
    let (current, fields) = match posted(page).await? {
        Ok(posted) => posted,
        Err(stale) => return Ok(stale),
    };
    if current.needed == Needed::Nothing {
        let gone = prove(page, &current, (current.progress.proven(), &Spend::Nothing), &fields).await?;
        return match led(ctx, &current, gone) {
            Some(led) => led,
            None => render(ctx, &current, &[], None, 400, None).await,
        };
    }
    let ways = ways(ctx, &current).await?;
    // What does not count here is not looked at.
    let named = fields.get("factor").unwrap_or_default();
    let Some(way) = ways.iter().copied().find(|way| way.as_str() == named) else {
        return Err(refused(|t| &t.errors.form_incomplete));
    };
    let t = &ctx.texts.second_factor;
    let wrong = match way {
        Way::Factor(FactorKind::Passkey) => &ctx.texts.passkey.refused,
        _ => &t.wrong,
    };
    let again = |status, text| render(ctx, &current, &ways, Some(way), status, Some(text));
    if way == Way::Factor(FactorKind::EmailCode) && fields.get("send").is_some() {
        let path = format!("{}?with=email_code", second_factor_path(ctx));
        return match email_code::send(ctx, &current.progress).await? {
            true => redirect::see_other(&in_language(ctx, &path)),
            false => again(429, &t.too_many).await,
        };
    }
    match progress::attempt(ctx, &current.progress, &shown(way, &fields)).await? {
        Attempt::Right(accepted) => {
            let Accepted { proof, spend } = *accepted;
            let proven = current.progress.proven().and(proof);
            let gone = prove(page, &current, (proven, &spend), &fields).await?;
            match led(ctx, &current, gone) {
                Some(led) => led,
                None => again(400, wrong).await,
            }
        }
        Attempt::Wrong => again(400, wrong).await,
        Attempt::TooMany(_) => again(429, &t.too_many).await,
        Attempt::Over => over(ctx, &current),
    }
}

fn shown(way: Way, fields: &Parameters) -> Shown {
    let code = Secret::new(fields.get("code").unwrap_or_default());
    match way {
        Way::Factor(FactorKind::Totp) => Shown::Totp(code),
        Way::Factor(FactorKind::EmailCode) => Shown::EmailCode(code),
        Way::Factor(FactorKind::Passkey) => {
            let field = |name| Secret::new(fields.get(name).unwrap_or_default());
            Shown::Passkey { challenge: field("challenge"), credential: field("credential") }
        }
        Way::RecoveryCode => Shown::RecoveryCode(code),
    }
}

/// With all that is proven by now.
async fn prove(
    page: &Page,
    current: &Current,
    (proven, spend): (Proven, &Spend),
    fields: &Parameters,
) -> Result<Gone> {
    let mut sign_in = current.progress.sign_in(&page.ctx, proven)?;
    if matches!(spend, Spend::Nothing) {
        // Going on proves nothing.
        sign_in.auth_time = current.progress.auth_time();
    }
    let step = Step {
        sign_in,
        cookie: &current.cookie,
        last: Some((&current.progress, spend)),
        remember: fields.get("remember").is_some(),
    };
    go_on(page, &current.carried, &step).await
}

/// `None`: what was shown had been used, and is as good as wrong.
pub(super) fn led(ctx: &Ctx, current: &Current, gone: Gone) -> Option<Result<Response>> {
    match gone {
        Gone::On(response) => Some(Ok(response)),
        Gone::Overtaken => Some(pages::stale(ctx, &current.carried.aim.link(ctx))),
        Gone::Replayed => None,
    }
}

/// Too many codes of this sign-in were wrong.
fn over(ctx: &Ctx, current: &Current) -> Result<Response> {
    let t = &ctx.texts.second_factor;
    let page = ErrorPage {
        t: ctx.texts,
        frame: Frame::of(ctx),
        title: t.over_title.as_str(),
        message: t.over.as_str(),
        again: Some(&in_language(ctx, &current.carried.aim.link(ctx))),
        request_id: &ctx.request_id,
    };
    pages::html(400, &page, &[])
}
