//! Where somebody has signed in before: in which browser, which has a cookie for it, and at which place (an address, an IPv6
//! /64). It proves nothing and lets nobody in; it parts people's own guesses at their password from those of strangers
//! ([`super::guesses`]). Written down when a sign-in is complete, and not when its password is right;
//! known until something ends the browser sessions of before, a new password above all: whoever had the old one may have been there.

use super::tries::{Width, networks};
use crate::app::Ctx;
use crate::error::Result;
use crate::secret::Secret;
use crate::store::browser_sessions::SignIn;
use crate::store::db::Conn;
use crate::store::known_places;

/// How long somebody is known after the last sign-in.
pub const KNOWN_SECONDS: i64 = 90 * 86_400;

/// Browsers and places of one user; the longest unused is forgotten.
const MOST_KNOWN: i64 = 50;

/// What a browser is known by: after each sign-in by another value, so that one that was planted or stolen is worth nothing
/// from then on.
pub struct KnownBrowser {
    /// What it showed.
    pub former: Option<Secret>,
    pub cookie: Secret,
}

impl KnownBrowser {
    pub fn after(ctx: &Ctx, former: Option<Secret>) -> Result<Self> {
        Ok(Self { former, cookie: ctx.app.entropy.token("")? })
    }
}

pub fn place(ctx: &Ctx, address: &str) -> Option<Vec<u8>> {
    let host = networks(address).into_iter().find(|(width, _)| *width == Width::Host);
    host.map(|(_, network)| name(ctx, "place", network.as_bytes()))
}

pub fn browser(ctx: &Ctx, cookie: &Secret) -> Vec<u8> {
    name(ctx, "browser", cookie.expose().as_bytes())
}

/// What is stored says of nobody where they are.
fn name(ctx: &Ctx, of: &str, bytes: &[u8]) -> Vec<u8> {
    let bytes = [of.as_bytes(), bytes].join(&0);
    ctx.app.master_keys.keyed_hash(ctx.project.id, "known places", &bytes)
}

/// In the unit that begins the session.
pub(super) async fn remember(
    conn: &Conn,
    ctx: &Ctx,
    sign_in: &SignIn,
    known_by: &KnownBrowser,
) -> Result<()> {
    let (project, now, user) = (ctx.project.id, ctx.now, sign_in.user_id);
    let until = now.plus_seconds(KNOWN_SECONDS);
    let names = [place(ctx, &sign_in.address), Some(browser(ctx, &known_by.cookie))];
    for name in names.into_iter().flatten() {
        known_places::remember(conn, project, (now, until), sign_in, &name).await?;
    }
    let former = known_by.former.as_ref().map(|cookie| browser(ctx, cookie));
    known_places::trim(conn, project, user, former.as_deref(), MOST_KNOWN).await.map(drop)
}
