//! The answer to an application that wants it by POST (OAuth 2.0 Form Post Response Mode).

use axum::response::Response;

use super::assets::FORM_POST;
use super::frame::Frame;
use super::pages::{FormPostPage, with_policy};
use super::policy::form_post_policy;
use crate::app::Ctx;
use crate::error::Result;

/// A page whose one form goes to the redirect URI: by itself where scripts run, by its button everywhere.
pub fn page(ctx: &Ctx, redirect_uri: &str, pairs: &[(&str, &str)]) -> Result<Response> {
    let script = FORM_POST.path();
    let policy = form_post_policy(redirect_uri, &format!("{}{script}", ctx.app.base_url));
    let page =
        FormPostPage { t: ctx.texts, frame: Frame::of(ctx), action: redirect_uri, pairs, script: &script };
    with_policy(200, &page, &policy)
}
