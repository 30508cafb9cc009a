//! What the owner of an account is told by mail, in the unit of the act that it tells of.

use super::letters::{Letter, Order};
use crate::app::Ctx;
use crate::error::Result;
use crate::ids::UserId;
use crate::jobs::outbox::seal_letter;
use crate::model::profile::Profile;
use crate::model::user::UserRow;
use crate::store::db::Conn;
use crate::store::{outbox, users};
use crate::texts;

/// What happened to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice<'a> {
    PasswordChanged,
    /// `totp`, `passkey`, `recovery_codes` or `email_code`.
    FactorAdded(&'a str),
    FactorRemoved(&'a str),
    /// How many are left.
    RecoveryCodeUsed(i64),
    /// Somebody tried too many passwords.
    SignInsRefused,
    /// Somebody who knows the password, or has a session, tried too many codes.
    CodesRefused,
    /// Somebody who was signed in asked for another mail address, which is this one.
    AddressChangeAsked(&'a str),
    /// The address that the letter goes to is no longer the account's.
    AddressChanged,
    /// The account is disabled, and deleted when a window ends; with the link by which its owner objects.
    DeletionScheduled {
        date: &'a str,
        link: &'a str,
    },
    /// The same, to an address that nobody has proved: it may be a stranger's, who is told of no name and gets no link.
    DeletionScheduledUnverified {
        date: &'a str,
    },
    /// It is called off.
    DeletionCancelled,
    /// Somebody asked for an account with this one's mail address or user name.
    SignUpKnown,
}

impl Notice<'_> {
    fn order(&self, to: &str, language: &str) -> Order {
        let letter = |letter| Order::new(letter, to, language);
        match self {
            Self::PasswordChanged => letter(Letter::PasswordChanged),
            Self::FactorAdded(factor) => letter(Letter::FactorAdded).with("factor", factor),
            Self::FactorRemoved(factor) => letter(Letter::FactorRemoved).with("factor", factor),
            Self::RecoveryCodeUsed(left) => letter(Letter::RecoveryCodeUsed).with("left", left),
            Self::SignInsRefused => letter(Letter::SignInsRefused),
            Self::CodesRefused => letter(Letter::CodesRefused),
            Self::AddressChangeAsked(new) => letter(Letter::AddressChangeAsked).with("address", new),
            Self::AddressChanged => letter(Letter::AddressChanged),
            Self::DeletionScheduled { date, link } => {
                letter(Letter::DeletionScheduled).with("date", date).with("link", link)
            }
            Self::DeletionScheduledUnverified { date } => {
                letter(Letter::DeletionScheduledUnverified).with("date", date)
            }
            Self::DeletionCancelled => letter(Letter::DeletionCancelled),
            Self::SignUpKnown => letter(Letter::SignUpKnown),
        }
    }
}

/// Writes the letter into the outbox: to the address that the account has at this very moment, in the unit, whatever
/// becomes of the address afterwards. Somebody without an address is told nothing.
///
/// To be called before the unit changes the address, and before its audit event. The sealing of a few hundred bytes takes
/// microseconds and waits for nothing.
pub async fn queue(ctx: &Ctx, conn: &Conn, user: UserId, notice: Notice<'_>) -> Result<()> {
    match users::find(conn, ctx.project.id, user).await? {
        Some(row) => queue_to(ctx, conn, &row, notice).await,
        None => Ok(()),
    }
}

/// The same for somebody whose row the unit has read.
pub async fn queue_to(ctx: &Ctx, conn: &Conn, row: &UserRow, notice: Notice<'_>) -> Result<()> {
    let Some(to) = &row.email else { return Ok(()) };
    let name = row.username.as_deref().unwrap_or_default();
    let order = notice.order(to, &language_of(&row.profile, None)).with("username", name);
    send(ctx, conn, row.id, &order).await
}

/// Writes a letter to a user into the outbox.
pub async fn send(ctx: &Ctx, conn: &Conn, user: UserId, order: &Order) -> Result<()> {
    let letter = seal_letter(&ctx.app, ctx.project.id, ctx.now, order)?;
    let what = (letter.id, letter.kind.as_str());
    outbox::enqueue_to(conn, ctx.project.id, ctx.now, what, user, &letter.body).await.map(drop)
}

/// The language in which somebody is written to: the one of their profile (a JSON text), else the one that was asked for, else English.
pub fn language_of(profile: &str, asked: Option<&str>) -> String {
    let profile = Profile::parse(profile).unwrap_or_default();
    let own = profile.get("locale").and_then(|locale| locale.as_str()).and_then(texts::find);
    own.or_else(|| asked.and_then(texts::find)).unwrap_or_else(texts::english).language.tag.clone()
}
