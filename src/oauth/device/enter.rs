//! Somebody enters a code. Guessing is bounded for each address, each project and each browser; a wrong code does nothing
//! but count (RFC 8628, 5.1).

use super::{LIVES_SECONDS, hash_of};
use crate::app::Ctx;
use crate::error::Result;
use crate::identity::tries::{self, Bound};
use crate::model::user_code::UserCode;
use crate::secret::Secret;
use crate::store::db::Conn;
use crate::store::device_grants::{self, Waiting};

/// Codes that nobody knows, in the time that a code lives.
const MOST_OF_BROWSER: i64 = 10;
const MOST_OF_ADDRESS: i64 = 30;
const MOST_OF_PROJECT: i64 = 3000;

/// What a code leads to.
pub enum Entry {
    Found(Waiting, UserCode),
    Unknown,
    /// Nobody looked.
    TooMany,
}

/// The device that shows the code. An unknown, an expired and a used one answer alike.
pub async fn enter(ctx: &Ctx, typed: &str, cookie: &Secret, address: &str) -> Result<Entry> {
    let (code, bounds) = (&UserCode::parse(typed), &bounds(ctx, cookie, address));
    let hash = &code.as_ref().map(|code| hash_of(ctx, code));
    let verdict = |conn: Conn| async move {
        if tries::count(&conn, ctx, bounds).await?.is_some() {
            return Ok(Entry::TooMany);
        }
        let (Some(code), Some(hash)) = (code, hash) else { return Ok(Entry::Unknown) };
        let found = device_grants::find_by_user_code(&conn, ctx.project.id, ctx.now, hash).await?;
        let Some(found) = found else { return Ok(Entry::Unknown) };
        tries::forgive(&conn, ctx, bounds).await?;
        Ok(Entry::Found(found, code.clone()))
    };
    ctx.app.db.unit(verdict).await
}

/// The address comes first: cookies are of anybody's choice, and one host must not close the page for a whole project. The
/// browser comes last, so that there are no more rows of browsers than the project has tries.
fn bounds(ctx: &Ctx, cookie: &Secret, address: &str) -> Vec<Bound> {
    let mut bounds = tries::bounds_of(ctx, "device code", b"", address, (MOST_OF_ADDRESS, LIVES_SECONDS));
    bounds.push(Bound::new(ctx, "device code", b"project", MOST_OF_PROJECT, LIVES_SECONDS));
    let browser = [b"browser".as_slice(), &cookie.sha256()].concat();
    bounds.push(Bound::new(ctx, "device code", &browser, MOST_OF_BROWSER, LIVES_SECONDS));
    bounds
}
