//! What comes between the first proof and the browser session: the second factor, and making one.
//!
//! ```text
//! sign-in ──> go_on ─┬─> nothing is needed: the way on
//!    (a proof)   ^   ├─> GET second-factor ──> POST second-factor ─┐
//!                │   └─> GET enrol ──> POST enrol ──> the codes ───┤
//!                └─────────────────────────────────────────────────┘
//! authorize, device: step_up ──> the same, in a browser that is signed in
//! ```

pub mod enrol;
mod go_on;
pub mod second_factor;
mod step_up;

use axum::response::Response;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::go_on::{Carried, Gone, Step, demand_of, go_on};
pub use self::step_up::step_up;
use super::form::{self, Content, Received};
use super::page::Page;
use super::pages;
use crate::app::Ctx;
use crate::error::{Error, Result, refused};
use crate::identity::needed::{Needed, needed};
use crate::identity::progress::{self, Progress};
use crate::model::client::Client;
use crate::oauth::authorize::active_client;
use crate::oauth::parameters::Parameters;
use crate::secret::Secret;

/// What the forms carry. It says which sign-in they are of, and nothing of what is proven: that is in the store.
#[derive(Serialize, Deserialize)]
pub struct Factoring {
    id: Uuid,
    /// Where the same begins anew.
    again: String,
}

impl Content for Factoring {
    const KIND: &'static str = "second_factor";

    fn link(&self, _: &Ctx) -> String {
        self.again.clone()
    }
}

/// What is in progress in this browser, and what it still needs.
pub struct Current {
    pub progress: Progress,
    pub carried: Carried,
    pub client: Option<Client>,
    pub needed: Needed,
    pub cookie: Secret,
}

impl Current {
    async fn of(page: &Page, progress: Progress, cookie: Secret) -> Result<Self> {
        let ctx = &page.ctx;
        let carried: Carried = serde_json::from_str(&progress.aim).map_err(Error::internal)?;
        let client = match carried.aim.client_id() {
            Some(id) => Some(active_client(ctx, id).await?),
            None => None,
        };
        let (who, device) = ((progress.user(), progress.proven()), page.device());
        // In a browser that is signed in, more is asked for whether or not it is remembered.
        let device = device.filter(|_| !progress.is_step_up());
        let needed = needed(ctx, client.as_ref(), demand_of(&carried.aim), who, device.as_ref()).await?;
        Ok(Self { progress, carried, client, needed, cookie })
    }

    fn factoring(&self, ctx: &Ctx) -> Factoring {
        Factoring { id: self.progress.id(), again: self.carried.aim.link(ctx) }
    }

    /// What the form of this sign-in carries.
    fn sealed(&self, ctx: &Ctx) -> Result<String> {
        form::seal(ctx, &self.factoring(ctx), &self.cookie)
    }
}

/// For a page that is asked for: `None`: nothing is in progress here, or no more.
async fn current(page: &Page) -> Result<Current> {
    let over = || refused(|t| &t.errors.form_stale);
    let cookie = page.cookie().ok_or_else(over)?;
    let progress = progress::find(&page.ctx, &cookie).await?.ok_or_else(over)?;
    Current::of(page, progress, cookie).await
}

/// For a form that was posted: the very sign-in that it was made for, or a page with the way to a new one.
async fn posted(page: &Page) -> Result<std::result::Result<(Current, Parameters), Response>> {
    let ctx = &page.ctx;
    let posted = match form::receive::<Factoring>(page)? {
        Received::Valid(posted) => posted,
        Received::Stale(factoring) => return pages::stale(ctx, &factoring.again).map(Err),
    };
    let (factoring, cookie) = (posted.content, posted.cookie);
    match progress::find(ctx, &cookie).await?.filter(|found| found.id() == factoring.id) {
        Some(progress) => Ok(Ok((Current::of(page, progress, cookie).await?, posted.fields))),
        None => pages::stale(ctx, &factoring.again).map(Err),
    }
}

fn second_factor_path(ctx: &Ctx) -> String {
    format!("/projects/{}/second-factor", ctx.project.slug)
}

fn enrol_path(ctx: &Ctx) -> String {
    format!("/projects/{}/enrol", ctx.project.slug)
}

/// The page of the next step, which only the browser with the cookie sees.
fn next_page(ctx: &Ctx, needed: &Needed) -> String {
    match needed {
        Needed::Enrol(_) => enrol_path(ctx),
        _ => second_factor_path(ctx),
    }
}
