//! What the pages of the account have in common: the way from one to the other, and what has just been done.

use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::enter::Visitor;
use super::place::Place;
use crate::app::Ctx;
use crate::error::Result;
use crate::http::hosted::form::{self, Content, Received};
use crate::http::hosted::frame::{Tab, in_language};
use crate::http::hosted::page::Page;
use crate::http::hosted::redirect;
use crate::texts::{Text, Texts};

/// Every page of the account has one, beside `t` and `frame`: `account/layout.html` draws it.
pub struct Shell {
    pub tabs: Vec<Tab>,
    pub title: &'static Text,
    pub done: Option<&'static Text>,
    pub error: Option<String>,
}

impl Shell {
    pub fn new(ctx: &Ctx, here: Place, notice: Option<Notice>, error: Option<String>) -> Self {
        let tab = |place: Place| Tab {
            href: in_language(ctx, &place.link(ctx)),
            text: place.title(ctx.texts).as_str(),
            is_here: place == here,
        };
        Self {
            tabs: Place::TABS.map(tab).into(),
            title: here.title(ctx.texts),
            done: notice.map(|notice| notice.text(ctx.texts)),
            error,
        }
    }
}

/// What has just been done. It travels sealed, for the browser that did it: no link of somebody else's says so.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Notice {
    ProfileSaved,
    PasswordChanged,
    SessionEnded,
    OthersEnded,
    ConsentWithdrawn,
    FactorAdded,
    FactorRemoved,
    PasskeyAdded,
    PasskeyRenamed,
    AppRenamed,
    DeviceForgotten,
    VerificationSent,
    AddressAsked,
}

impl Notice {
    fn text(self, t: &Texts) -> &Text {
        match self {
            Self::ProfileSaved => &t.account_profile.saved,
            Self::PasswordChanged => &t.account_password.changed,
            Self::SessionEnded => &t.account_sessions.ended,
            Self::OthersEnded => &t.account_sessions.others_ended,
            Self::ConsentWithdrawn => &t.account_consents.withdrawn,
            Self::FactorAdded => &t.account_factors.added,
            Self::FactorRemoved => &t.account_factors.removed,
            Self::PasskeyAdded => &t.passkey.added,
            Self::PasskeyRenamed => &t.passkey.renamed,
            Self::AppRenamed => &t.account_factors.renamed,
            Self::VerificationSent => &t.account_email.verify_asked,
            Self::AddressAsked => &t.account_email.asked,
            Self::DeviceForgotten => &t.account_factors.forgotten,
        }
    }
}

impl Content for Notice {
    const KIND: &'static str = "account_notice";

    fn link(&self, ctx: &Ctx) -> String {
        Place::Overview.link(ctx)
    }
}

/// What this browser has just done, as the address says it.
pub fn notice(page: &Page) -> Option<Notice> {
    match form::follow::<Notice>(page) {
        Ok(Received::Valid(followed)) => Some(followed.content),
        _ => None,
    }
}

/// The page again, by GET, so that reloading it does nothing twice.
pub fn go_to(page: &Page, place: Place, notice: Notice, visitor: &Visitor) -> Result<Response> {
    let ctx = &page.ctx;
    let sealed = form::seal(ctx, &notice, &visitor.cookie)?;
    redirect::see_other(&in_language(ctx, &format!("{}?request={sealed}", place.link(ctx))))
}
