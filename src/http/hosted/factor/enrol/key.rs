//! A passkey: the browser makes it, and the page has a button.

use askama::Template;
use axum::response::Response;

use super::super::super::account::device_in_words;
use super::super::super::frame::Frame;
use super::super::super::page::Page;
use super::super::super::passkey::{self, PasskeyForm};
use super::super::super::{cookie, policy};
use super::super::{Current, enrol_path};
use super::{New, made, other_way, sealed};
use crate::app::Ctx;
use crate::error::{Code, Result};
use crate::identity::passkeys::{self, Asked, Purpose};
use crate::identity::spend::NewFactor;
use crate::model::proven::Proof;
use crate::oauth::parameters::Parameters;
use crate::texts::{Text, Texts};

#[derive(Template)]
#[template(path = "enrol_passkey.html")]
struct EnrolPasskeyPage<'a> {
    t: &'static Texts,
    frame: Frame<'a>,
    request: &'a str,
    passkey: PasskeyForm,
    error: Option<&'a str>,
    other: Option<String>,
}

/// For this person, in this browser, while this sign-in lasts.
fn asked(current: &Current) -> Asked {
    Asked::of_browser(Purpose::Enrolment, &current.cookie, Some(current.progress.user()))
}

pub async fn ask(ctx: &Ctx, current: &Current) -> Result<Response> {
    render(ctx, current, 200, None).await
}

async fn render(ctx: &Ctx, current: &Current, status: u16, error: Option<&Text>) -> Result<Response> {
    let question = passkeys::begin(ctx, &asked(current), current.progress.user()).await?;
    let targets = current.client.as_ref().map(policy::form_targets).unwrap_or_default();
    cookie::bind(ctx, Some(current.cookie.clone()), |_| {
        let page = EnrolPasskeyPage {
            t: ctx.texts,
            frame: Frame::of(ctx),
            request: &sealed(ctx, current, New::Passkey)?,
            passkey: PasskeyForm::of(enrol_path(ctx), question),
            error: error.map(Text::as_str),
            other: other_way(ctx, current),
        };
        passkey::html(ctx, status, &page, &targets, true)
    })
}

pub async fn make(page: &Page, current: &Current, fields: &Parameters) -> Result<Response> {
    let ctx = &page.ctx;
    let (user, name) = (current.progress.user(), device_in_words(ctx.texts, &page.browser().user_agent));
    let name = name.unwrap_or_else(|| ctx.texts.passkey.one.to_string());
    let outcome = match passkeys::made(ctx, &asked(current), user, &passkey::answered(fields), &name) {
        Ok(new) => {
            let proof = Proof::Passkey(new.proven());
            made(ctx, current, proof, NewFactor::Passkey(Box::new(new))).await
        }
        Err(error) => Err(error),
    };
    match outcome {
        // What is wrong with it is for whoever writes an application.
        Err(error) if matches!(error.code(), Code::InvalidRequest | Code::Conflict) => {
            render(ctx, current, 400, Some(&ctx.texts.passkey.not_made)).await
        }
        done => done,
    }
}
