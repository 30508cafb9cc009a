//! A browser that is signed in, and a request that asks for more than its sign-in is worth.

use axum::response::Response;

use super::super::form::Aim;
use super::super::frame::in_language;
use super::super::page::Page;
use super::super::{redirect, sign_in};
use super::{Carried, next_page};
use crate::error::Result;
use crate::identity::fresh;
use crate::identity::needed::Needed;
use crate::identity::progress::{self, Purpose};
use crate::identity::sign_in::Browser;
use crate::model::client::Client;
use crate::oauth::authorize::unmet;
use crate::secret::Secret;
use crate::store::browser_sessions::SignIn;

/// Asks for what is missing, and for nothing that was proven. Nothing is proven anew yet, so the cookie and the session
/// stay; the one that follows takes the place of both.
///
/// # Errors
/// `unmet_authentication_requirements` where nobody gets there.
pub async fn step_up(
    page: &Page,
    client: Option<&Client>,
    aim: Aim,
    (session, cookie): (&SignIn, Secret),
    needed: &Needed,
) -> Result<Response> {
    let ctx = &page.ctx;
    match needed {
        Needed::Unmet => return Err(unmet()),
        // Whoever finds a browser that is signed in makes no factor of their own there.
        Needed::Enrol(_)
            if !fresh::is_fresh(ctx, session.user_id, (session.auth_time, &session.amr)).await? =>
        {
            return sign_in::ask_again(page, client, aim, session.user_id, cookie).await;
        }
        _ => {}
    }
    let Browser { user_agent, address } = page.browser();
    let sign_in = SignIn { user_agent, address, ..session.clone() };
    let carried = Carried::of(aim, client).to_json()?;
    progress::begin(ctx, &cookie, &sign_in, Purpose::StepUp, &carried, cookie.sha256()).await?;
    redirect::see_other(&in_language(ctx, &next_page(ctx, needed)))
}
