//! A request for a page. Whatever goes wrong, from an unknown project to a body that is too large, is a page as well.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use axum::response::Response;

use super::frame::Frame;
use super::{cookie, going_on, pages};
use crate::app::{App, Ctx};
use crate::error::{Code, Error, Result, not_found, refused};
use crate::http::answer::header_text;
use crate::http::call::Call;
use crate::identity::sign_in::Browser;
use crate::oauth::parameters::Parameters;
use crate::secret::Secret;
use crate::texts::{self, Texts};

/// The call, under a project that is there, is active, and is named by its slug.
#[derive(Clone)]
pub struct Page {
    pub call: Call,
    pub ctx: Ctx,
}

impl FromRequest<Arc<App>> for Page {
    type Rejection = Response;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Response> {
        let asked = asked_language(request.uri().query().unwrap_or_default());
        let texts = asked.unwrap_or_else(|| language_of_browser(request.headers()));
        let page = async {
            let call = Call::from_request(request, app).await?;
            let mut ctx = call.visit_by_slug()?.current().await?;
            if !ctx.project.is_active() {
                return Err(not_found("no such project"));
            }
            (ctx.texts, ctx.language_asked) = (texts, asked.is_some());
            let page = Self { call, ctx };
            match page.form_text().ok().and_then(asked_language) {
                Some(texts) => Ok(page.speaking(texts)),
                None => Ok(page),
            }
        };
        page.await.map_err(|error| pages::error(Frame::bare(texts), &error))
    }
}

impl Page {
    /// What was decided, or a page that says what went wrong.
    pub fn answer(&self, outcome: Result<Response>) -> Response {
        let outcome = outcome.and_then(|response| going_on::unheld(self, response));
        outcome.unwrap_or_else(|error| pages::error(Frame::of(&self.ctx), &error))
    }

    /// The same, in a language that the request asks for.
    #[must_use]
    pub fn speaking(mut self, texts: &'static Texts) -> Self {
        (self.ctx.texts, self.ctx.language_asked) = (texts, true);
        self
    }

    /// Answers a HEAD like a GET of a browser without a cookie, and sets none: asking makes no code.
    pub fn without_browser(mut self) -> Self {
        self.call.headers.remove(header::COOKIE);
        self
    }

    pub fn cookie(&self) -> Option<Secret> {
        cookie::read(&self.ctx, &self.call.headers)
    }

    /// What says that this browser is remembered.
    pub fn device(&self) -> Option<Secret> {
        cookie::read_device(&self.ctx, &self.call.headers)
    }

    /// What says that somebody has signed in in this browser before.
    pub fn known_by(&self) -> Option<Secret> {
        cookie::read_known(&self.ctx, &self.call.headers)
    }

    pub fn browser(&self) -> Browser {
        Browser { user_agent: self.call.user_agent(), address: self.call.client_address() }
    }

    /// Where the browser says that the request was made: another site's form is not ours, whatever it carries.
    pub fn is_from_elsewhere(&self) -> bool {
        self.call.header("sec-fetch-site").is_some_and(|site| matches!(site, "cross-site" | "same-site"))
    }

    /// Whether a browser says that it will show the answer, and that a page of ours has brought it here: by a form, or by the
    /// redirects that followed one.
    pub fn is_shown_after_ours(&self) -> bool {
        let says = |name, value| self.call.header(name) == Some(value);
        says("sec-fetch-dest", "document") && says("sec-fetch-site", "same-origin")
    }

    /// The posted form as text.
    pub fn form_text(&self) -> Result<&str> {
        let content_type = self.call.header("content-type").unwrap_or_default();
        let kind = content_type.split(';').next().map(str::trim).unwrap_or_default();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Error::for_people(Code::UnsupportedMediaType, |t| &t.errors.not_a_form));
        }
        std::str::from_utf8(&self.call.body).map_err(|_| incomplete())
    }

    /// The posted form, each field at most once.
    pub fn form(&self) -> Result<Parameters> {
        let fields = Parameters::parse(self.form_text()?).ok_or_else(incomplete)?;
        if fields.repeated().is_some() { Err(incomplete()) } else { Ok(fields) }
    }
}

fn incomplete() -> Error {
    refused(|t| &t.errors.form_incomplete)
}

/// `ui_locales` of a query or a form (OpenID Connect Core, 3.1.2.1): of ours, those that we speak.
fn asked_language(text: &str) -> Option<&'static Texts> {
    let mut pairs = url::form_urlencoded::parse(text.as_bytes());
    pairs.find(|(name, _)| name == "ui_locales").and_then(|(_, locales)| texts::of_locales(&locales))
}

fn language_of_browser(headers: &HeaderMap) -> &'static Texts {
    header_text(headers, "accept-language").and_then(texts::of_header).unwrap_or_else(texts::english)
}
