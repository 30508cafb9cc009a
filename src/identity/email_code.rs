//! A code by mail as a second factor: to the verified address of the account, for the sign-in that asked for it and no
//! other, good for ten minutes and once. How often one may be wrong is the sign-in's own count.

use serde::{Deserialize, Serialize};

use super::progress::Progress;
use super::spend::Spend;
use super::tries::{self, Bound};
use crate::app::Ctx;
use crate::error::{Error, Result};
use crate::mail::notices::{self, language_of};
use crate::mail::{Letter, Order};
use crate::model::timestamp::Timestamp;
use crate::secret::{Secret, encode_base64url, equal_in_constant_time, sha256};
use crate::store::db::Conn;
use crate::store::users;

const LIVES_SECONDS: i64 = 600;

/// Codes that are mailed to somebody in an hour, whoever has the password.
const MOST_CODES: (i64, i64) = (10, 3600);

/// What is asked: the hash of the code, under the id of the sign-in. It lies sealed under the browser's cookie.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    email_code: String,
    expires_at: Timestamp,
}

/// Mails a code, in the place of one that was mailed before. `false`: so many were mailed in the last hour, or there is no
/// verified address any more.
pub async fn send(ctx: &Ctx, progress: &Progress) -> Result<bool> {
    let (code, user) = (new_code(ctx)?, progress.user());
    let question = Question {
        email_code: hash(progress, code.expose()),
        expires_at: ctx.now.plus_seconds(LIVES_SECONDS),
    };
    let question = serde_json::to_vec(&question).map_err(Error::internal)?;
    let (sealed, (most, seconds)) = (&progress.seal_question(ctx, &question)?, MOST_CODES);
    let (code, bounds) = (&code, &[Bound::new(ctx, "mailed codes", user.0.as_bytes(), most, seconds)]);
    let unit = |conn: Conn| async move {
        let found = users::find(&conn, ctx.project.id, user).await?.filter(|row| row.email_verified);
        let Some((row, Some(to))) = found.as_ref().map(|row| (row, &row.email)) else { return Ok(false) };
        if tries::count(&conn, ctx, bounds).await?.is_some()
            || !progress.put_question(ctx, &conn, sealed).await?
        {
            return Ok(false);
        }
        let language = language_of(&row.profile, Some(&ctx.texts.language.tag));
        let order = Order::new(Letter::EmailCode, to, &language)
            .with("username", row.username.as_deref().unwrap_or_default())
            .with("code", code.expose())
            .with("minutes", LIVES_SECONDS / 60);
        notices::send(ctx, &conn, user, &order).await.map(|()| true)
    };
    ctx.app.db.unit(unit).await
}

/// Whether a code was mailed in this sign-in, and is still good.
pub fn is_sent(ctx: &Ctx, progress: &Progress) -> Result<bool> {
    Ok(question(ctx, progress)?.is_some())
}

/// Whether it is the code that was mailed.
pub(super) fn check(ctx: &Ctx, progress: &Progress, code: &Secret) -> Result<Option<Spend>> {
    let Some(question) = question(ctx, progress)? else { return Ok(None) };
    let digits: String = code.expose().chars().filter(|c| !c.is_whitespace() && *c != '-').take(64).collect();
    let is_right = equal_in_constant_time(hash(progress, &digits).as_bytes(), question.email_code.as_bytes());
    Ok(is_right.then(|| Spend::EmailCode(Box::new(progress.row.clone()))))
}

fn question(ctx: &Ctx, progress: &Progress) -> Result<Option<Question>> {
    let Some(plain) = progress.question(ctx)? else { return Ok(None) };
    // What another factor was asked is no question of this one.
    let question: Option<Question> = serde_json::from_slice(&plain).ok();
    Ok(question.filter(|question| question.expires_at > ctx.now))
}

fn hash(progress: &Progress, digits: &str) -> String {
    encode_base64url(&sha256(&[b"email code\0", &progress.id().as_bytes()[..], digits.as_bytes()].concat()))
}

/// Six digits, each as likely as the others.
fn new_code(ctx: &Ctx) -> Result<Secret> {
    const CODES: u32 = 1_000_000;
    const END: u32 = u32::MAX / CODES * CODES;
    loop {
        let number = u32::from_be_bytes(ctx.app.entropy.bytes()?);
        if number < END {
            return Ok(Secret::new(format!("{:06}", number % CODES)));
        }
    }
}
