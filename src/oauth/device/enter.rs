//! Somebody enters a code. Guessing is bounded for each browser, each address and each project; a wrong code does nothing
//! but count (RFC 8628, 5.1).

use super::{LIVES_SECONDS, hash_of};
use crate::app::Ctx;
use crate::error::Result;
use crate::model::user_code::UserCode;
use crate::secret::Secret;
use crate::store::db::Conn;
use crate::store::device_grants::{self, Waiting};
use crate::store::user_code_failures as failures;

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
    let (code, subjects) = (&UserCode::parse(typed), &subjects(ctx, cookie, address));
    let hash = &code.as_ref().map(|code| hash_of(ctx, code));
    let verdict = |conn: Conn| async move {
        let (project, now) = (ctx.project.id, ctx.now);
        for (subject, most) in subjects {
            let until = now.plus_seconds(LIVES_SECONDS);
            if failures::count(&conn, project, now, subject, until).await? > *most {
                return Ok(Entry::TooMany);
            }
        }
        let (Some(code), Some(hash)) = (code, hash) else { return Ok(Entry::Unknown) };
        let Some(found) = device_grants::find_by_user_code(&conn, project, now, hash).await? else {
            return Ok(Entry::Unknown);
        };
        for (subject, _) in subjects {
            failures::forgive(&conn, project, subject).await?;
        }
        Ok(Entry::Found(found, code.clone()))
    };
    ctx.app.db.unit(verdict).await
}

/// Whose failures are counted, in the order in which all requests lock them.
fn subjects(ctx: &Ctx, cookie: &Secret, address: &str) -> Vec<(Vec<u8>, i64)> {
    let hash = |kind: &str, value: &[u8]| {
        let bytes = [kind.as_bytes(), b"\0", value].concat();
        ctx.app.master_keys.keyed_hash(ctx.project.id, "user_code_failures", &bytes)
    };
    let mut subjects = vec![(hash("browser", &cookie.sha256()), MOST_OF_BROWSER)];
    // A server that does not know its peer counts by the other two.
    if !address.is_empty() {
        subjects.push((hash("address", address.as_bytes()), MOST_OF_ADDRESS));
    }
    subjects.push((hash("project", b""), MOST_OF_PROJECT));
    subjects
}
