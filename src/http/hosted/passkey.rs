//! Passkeys on pages: the form that asks the browser for one, and the sign-in with a passkey alone.

use askama::Template;
use axum::response::Response;

use super::assets::PASSKEYS;
use super::factor::{Carried, Gone, Step, go_on};
use super::form::{self, Content, Received};
use super::page::Page;
use super::policy::policy_with_script;
use super::{pages, sign_in};
use crate::app::Ctx;
use crate::error::{Result, refused};
use crate::identity::passkeys::{self, Answered, Asked, Purpose, Question, are_possible, ask_anybody, prove};
use crate::identity::progress::Progress;
use crate::identity::sign_in::Browser;
use crate::model::proven::{Proof, Proven};
use crate::oauth::authorize::active_client;
use crate::oauth::parameters::Parameters;
use crate::secret::Secret;
use crate::store::browser_sessions::SignIn;

/// What a template needs to ask for a passkey, or for a new one. Its form stays hidden until `passkeys.js` finds that the browser has any.
pub struct PasskeyForm {
    pub action: String,
    /// JSON for the browser.
    pub options: String,
    /// Sealed, and bound to the browser's cookie.
    pub challenge: String,
}

impl PasskeyForm {
    pub fn of(action: String, question: Question) -> Self {
        Self { action, options: question.options.to_string(), challenge: question.challenge }
    }
}

/// What the form came back with.
pub fn answered(fields: &Parameters) -> Answered<'_> {
    Answered {
        challenge: fields.get("challenge").unwrap_or_default(),
        credential: fields.get("credential").unwrap_or_default(),
    }
}

fn is_offered(ctx: &Ctx) -> bool {
    ctx.project.settings.sign_in.passkey_sign_in && are_possible(ctx)
}

/// Of whoever it is: the passkey says so.
fn asked(cookie: &Secret) -> Asked {
    Asked::of_browser(Purpose::SignIn, cookie, None)
}

/// For the sign-in page; `None` where a passkey alone signs nobody in.
pub fn offer(ctx: &Ctx, cookie: &Secret) -> Result<Option<PasskeyForm>> {
    if !is_offered(ctx) {
        return Ok(None);
    }
    let question = ask_anybody(ctx, &asked(cookie))?;
    let action = format!("/projects/{}/sign-in/passkey", ctx.project.slug);
    Ok(Some(PasskeyForm::of(action, question)))
}

/// For the page of the second factor; `None` where the person has no passkey that would do.
pub async fn second(ctx: &Ctx, progress: &Progress, action: String) -> Result<Option<PasskeyForm>> {
    if !are_possible(ctx) {
        return Ok(None);
    }
    let question = passkeys::ask(ctx, &progress.passkey_asked()).await?;
    Ok(question.map(|question| PasskeyForm::of(action, question)))
}

/// A page that loads the script, if it asks for a passkey.
pub fn html(
    ctx: &Ctx,
    status: u16,
    page: &impl Template,
    form_targets: &[String],
    scripted: bool,
) -> Result<Response> {
    if !scripted {
        return pages::html(status, page, form_targets);
    }
    let script = format!("{}{}", ctx.app.base_url, PASSKEYS.path());
    pages::with_policy(status, page, &policy_with_script(form_targets, &script))
}

/// The posted form.
pub async fn submit(page: Page) -> Response {
    page.answer(judge(&page).await)
}

async fn judge(page: &Page) -> Result<Response> {
    let ctx = &page.ctx;
    let posted = match form::receive::<form::Asked>(page)? {
        Received::Valid(posted) => posted,
        Received::Stale(asked) => return pages::stale(ctx, &asked.link(ctx)),
    };
    if !is_offered(ctx) {
        return Err(refused(|t| &t.errors.form_stale));
    }
    let (form, fields, cookie) = (posted.content, posted.fields, posted.cookie);
    // Before the proof: its epoch is the one that counts.
    let client = match form.aim.client_id() {
        Some(id) => Some(active_client(ctx, id).await?),
        None => None,
    };
    let proven = prove(ctx, &asked(&cookie), &answered(&fields)).await?;
    // Nobody else will do, where it is known who it is.
    if let Some(proven) = proven.filter(|proven| form.user.is_none_or(|user| user == proven.user)) {
        let sign_in = begun(ctx, &proven, page.browser())?;
        let carried = Carried::of(form.aim.clone(), client.as_ref());
        let step = Step { sign_in, cookie: &cookie, last: None, remember: false };
        if let Gone::On(response) = go_on(page, &carried, &step).await? {
            return Ok(response);
        }
    }
    let username = match form.user {
        Some(user) => sign_in::name_of(ctx, user).await?,
        None => String::new(),
    };
    let why = Some(&ctx.texts.passkey.refused);
    sign_in::render(ctx, client.as_ref(), &form, Some(cookie), (&username, 400, why))
}

/// Under the epochs that were read with the passkey.
fn begun(ctx: &Ctx, shown: &passkeys::Proven, browser: Browser) -> Result<SignIn> {
    let proven = Proven::default().and(Proof::Passkey(shown.passkey));
    Ok(SignIn {
        id: ctx.app.entropy.id(ctx.now)?,
        user_id: shown.user,
        project_epoch: shown.project_epoch,
        user_epoch: shown.user_epoch,
        browser_epoch: shown.browser_epoch,
        auth_time: ctx.now,
        amr: proven.amr(),
        acr: proven.acr().as_str().to_owned(),
        codes: proven.codes(),
        user_agent: browser.user_agent,
        address: browser.address,
    })
}
