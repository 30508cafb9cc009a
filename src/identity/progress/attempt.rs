//! What somebody shows in a sign-in in progress is counted, and judged.

use super::Progress;
use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::Result;
use crate::events::{Kind, note};
use crate::identity::passkeys::{self, Answered};
use crate::identity::spend::Spend;
use crate::identity::tries::{self, Bound};
use crate::identity::{email_code, recovery, totp};
use crate::mail::notices::{self, Notice};
use crate::model::proven::{CodeOf, Proof};
use crate::secret::Secret;
use crate::store::db::Conn;
use crate::store::sign_ins_in_progress::{self as stored, Row};

/// Wrong codes of one sign-in; then it is over.
const MOST_FAILURES: i64 = 5;
/// Wrong codes of one user, in all sign-ins. Nobody gets here without the password or a session.
const MOST_OF_USER: [(i64, i64); 2] = [(15, 900), (60, DAY_SECONDS)];
const DAY_SECONDS: i64 = 86_400;

/// What somebody shows beside what is proven.
pub enum Shown {
    Totp(Secret),
    RecoveryCode(Secret),
    /// Mailed to the verified address.
    EmailCode(Secret),
    /// What was asked, sealed, and the answer of an authenticator, as JSON.
    Passkey {
        challenge: Secret,
        credential: Secret,
    },
}

/// A proof that is right, as far as can be told before the unit that uses it up.
pub struct Accepted {
    pub proof: Proof,
    pub spend: Spend,
}

pub enum Attempt {
    Right(Box<Accepted>),
    Wrong,
    /// It was one too many: the sign-in is over.
    Over,
    /// This user's codes are not looked at for so many seconds.
    TooMany(u32),
}

/// Judges what is shown. It is counted before anybody looks, so that no number of tries at once gets past a bound.
pub async fn attempt(ctx: &Ctx, progress: &Progress, shown: &Shown) -> Result<Attempt> {
    let (user, row, bounds) = (progress.user(), &progress.row, &bounds(ctx, &progress.row, shown));
    let count = |conn: Conn| async move {
        let Some(tried) = stored::count_try(&conn, ctx.project.id, ctx.now, row, MOST_FAILURES).await? else {
            return Ok(Err(Attempt::Over));
        };
        Ok(match tries::count(&conn, ctx, bounds).await? {
            Some(seconds) => {
                tell(&conn, ctx, row).await?;
                Err(Attempt::TooMany(seconds))
            }
            None => Ok(tried),
        })
    };
    let tried = match ctx.app.db.unit(count).await? {
        Ok(tried) => tried,
        Err(refused) => {
            note(ctx, Kind::SignIn, "too_many_codes", None, Some(user));
            return Ok(refused);
        }
    };
    let accepted = match shown {
        Shown::Totp(code) => code_was(CodeOf::App, totp::check(ctx, user, code).await?),
        Shown::RecoveryCode(code) => code_was(CodeOf::Recovery, recovery::check(ctx, user, code).await?),
        Shown::EmailCode(code) => code_was(CodeOf::Mail, email_code::check(ctx, progress, code)?),
        Shown::Passkey { challenge, credential } => {
            let answered = Answered { challenge: challenge.expose(), credential: credential.expose() };
            let proven = passkeys::prove(ctx, &progress.passkey_asked(), &answered).await?;
            proven.map(|proven| Accepted { proof: Proof::Passkey(proven.passkey), spend: Spend::Passkey })
        }
    };
    if accepted.is_none() {
        let outcome = if matches!(shown, Shown::Passkey { .. }) { "wrong_passkey" } else { "wrong_code" };
        note(ctx, Kind::SignIn, outcome, None, Some(user));
    }
    match accepted {
        Some(accepted) => Ok(Attempt::Right(Box::new(accepted))),
        None if tried >= MOST_FAILURES => {
            let unit = |conn: Conn| async move {
                stored::end(&conn, ctx.project.id, row).await?;
                tell(&conn, ctx, row).await
            };
            ctx.app.db.unit(unit).await?;
            Ok(Attempt::Over)
        }
        None => Ok(Attempt::Wrong),
    }
}

/// Too many codes were wrong: the owner hears of it once a day, and so does the log, because it takes the password or a session
/// to get so far. Called last in a unit.
async fn tell(conn: &Conn, ctx: &Ctx, row: &Row) -> Result<()> {
    let whose = whose(row);
    if tries::count(conn, ctx, &[Bound::new(ctx, "told of refused codes", &whose, 1, DAY_SECONDS)])
        .await?
        .is_some()
    {
        return Ok(());
    }
    notices::queue(ctx, conn, row.user_id, Notice::CodesRefused).await?;
    let target = audit::user_name(ctx, row.user_id);
    let actor = Actor::sign_in(ctx, row.user_id);
    audit::append(conn, ctx.project.id, ctx.now, &actor.did("user.codes_refused", &target)).await.map(drop)
}

/// What raises the epoch, a reset of the password above all, begins the count anew.
fn whose(row: &Row) -> Vec<u8> {
    [&row.user_id.0.as_bytes()[..], &row.browser_epoch.to_be_bytes()].concat()
}

fn code_was(of: CodeOf, spend: Option<Spend>) -> Option<Accepted> {
    spend.map(|spend| Accepted { proof: Proof::OneTimeCode(of), spend })
}

/// Kinds are counted apart, so that whoever guesses at one leaves the others to the person.
fn bounds(ctx: &Ctx, row: &Row, shown: &Shown) -> Vec<Bound> {
    let of = match shown {
        Shown::Totp(_) => "totp",
        Shown::RecoveryCode(_) => "recovery code",
        Shown::EmailCode(_) => "mailed code",
        Shown::Passkey { .. } => "passkey",
    };
    let whose = whose(row);
    let bound =
        |(most, seconds): (i64, i64)| Bound::new(ctx, &format!("{of} in {seconds}"), &whose, most, seconds);
    MOST_OF_USER.map(bound).into()
}

/// The tries of a user were good ones: the right code takes them back. To be called in the unit that uses it up.
pub(in crate::identity) async fn forgive(conn: &Conn, ctx: &Ctx, row: &Row, spend: &Spend) -> Result<()> {
    let shown = match spend {
        Spend::Totp { .. } => Shown::Totp(Secret::new("")),
        Spend::RecoveryCode { .. } => Shown::RecoveryCode(Secret::new("")),
        Spend::EmailCode(_) => Shown::EmailCode(Secret::new("")),
        Spend::Passkey => Shown::Passkey { challenge: Secret::new(""), credential: Secret::new("") },
        Spend::Nothing | Spend::New { .. } => return Ok(()),
    };
    tries::forgive(conn, ctx, &bounds(ctx, row, &shown)).await
}
