//! What keeps a user from being deleted by anybody: a legal hold, which only an owner lifts, and a protection against mistakes.
//!
//! Both are looked for with the user's row held, where a deletion is asked for, confirmed and executed, so that one that is
//! placed in time is never overtaken.

use serde::Serialize;
use serde_json::json;

use super::request::check_reason_for;
use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::{Code, Error, Result, conflict, not_found};
use crate::ids::UserId;
use crate::model::timestamp::Timestamp;
use crate::store::db::Conn;
use crate::store::deletion_guards::{self, GuardRow};
use crate::store::{erasing, projects};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// The record must be kept, whatever anybody asks for.
    LegalHold,
    /// Against mistakes: whoever may delete lifts it first.
    Protection,
}

impl Guard {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LegalHold => "legal_hold",
            Self::Protection => "deletion_protection",
        }
    }

    const fn refusal(self) -> (Code, &'static str) {
        match self {
            Self::LegalHold => {
                (Code::LegalHold, "the user is under a legal hold, which an owner has to lift first")
            }
            Self::Protection => {
                (Code::DeletionProtection, "the user is protected from deletion; lift that first")
            }
        }
    }

    const fn placed(self) -> &'static str {
        match self {
            Self::LegalHold => "user.legal_hold_placed",
            Self::Protection => "user.deletion_protected",
        }
    }

    const fn lifted(self) -> &'static str {
        match self {
            Self::LegalHold => "user.legal_hold_lifted",
            Self::Protection => "user.deletion_unprotected",
        }
    }
}

/// A guard as the API shows it.
#[derive(Debug, Serialize)]
pub struct Placed {
    pub user: UserId,
    pub reason: String,
    pub placed_by: String,
    pub placed_at: Timestamp,
}

impl Placed {
    fn new(user: UserId, row: GuardRow) -> Self {
        Self { user, reason: row.reason, placed_by: row.placed_by, placed_at: row.placed_at }
    }
}

/// A guard as the user sees it: not who of those who work with accounts placed it, nor why.
#[derive(Debug, Serialize)]
pub struct Kept {
    pub kind: String,
    pub placed_at: Timestamp,
}

/// What keeps the user.
pub async fn kept(ctx: &Ctx, user: UserId) -> Result<Vec<Kept>> {
    let list = |conn| async move { deletion_guards::list(&conn, ctx.project.id, user).await };
    let of = |row: GuardRow| Kept { kind: row.kind, placed_at: row.placed_at };
    Ok(ctx.app.db.read(list).await?.into_iter().map(of).collect())
}

/// Places one. A deletion that waits for its day goes on waiting until it is lifted.
///
/// # Errors
/// 404 for an unknown user; 409 when there is one; a reason that is out of bounds or names the person.
pub async fn place(ctx: &Ctx, actor: &Actor, user: UserId, guard: Guard, reason: &str) -> Result<Placed> {
    let project = ctx.project.id;
    check_reason_for(ctx, user, reason).await?;
    let row = &GuardRow {
        kind: guard.as_str().into(),
        reason: reason.into(),
        placed_by: actor.name().into(),
        placed_at: ctx.now,
    };
    let place = |conn: Conn| async move {
        // A deletion of the project that is under way has the row first, and leaves nobody to keep.
        if projects::hold(&conn, project).await? == 0 {
            return Err(super::no_user());
        }
        hold(ctx, &conn, user).await?;
        if deletion_guards::insert(&conn, project, user, row).await? == 0 {
            return Err(conflict("there is one already"));
        }
        let target = audit::user_name(ctx, user);
        audit::append(&conn, project, ctx.now, &actor.did(guard.placed(), &target).because(reason)).await
    };
    ctx.app.db.unit(place).await?;
    Ok(Placed::new(user, row.clone()))
}

/// # Errors
/// 404 when there is none.
pub async fn find(ctx: &Ctx, user: UserId, guard: Guard) -> Result<Placed> {
    let list = |conn| async move { deletion_guards::list(&conn, ctx.project.id, user).await };
    let found = ctx.app.db.read(list).await?.into_iter().find(|row| row.kind == guard.as_str());
    found.map(|row| Placed::new(user, row)).ok_or_else(none)
}

/// # Errors
/// 404 when there is none.
pub async fn lift(ctx: &Ctx, actor: &Actor, user: UserId, guard: Guard, reason: &str) -> Result<()> {
    let project = ctx.project.id;
    check_reason_for(ctx, user, reason).await?;
    let lift = |conn: Conn| async move {
        hold(ctx, &conn, user).await?;
        if deletion_guards::delete(&conn, project, user, guard.as_str()).await? == 0 {
            return Err(none());
        }
        let target = audit::user_name(ctx, user);
        audit::append(&conn, project, ctx.now, &actor.did(guard.lifted(), &target).because(reason)).await
    };
    ctx.app.db.unit(lift).await.map(|_| ())
}

async fn hold(ctx: &Ctx, conn: &Conn, user: UserId) -> Result<()> {
    let person = match erasing::hold(conn, ctx.project.id, user).await? {
        0 => None,
        _ => erasing::find_person(conn, ctx.project.id, user).await?,
    };
    person.map(|_| ()).ok_or_else(super::no_user)
}

fn none() -> Error {
    not_found("there is none")
}

/// What keeps the user from being deleted, the strongest first.
pub(super) async fn of(ctx: &Ctx, conn: &Conn, user: UserId) -> Result<Option<Guard>> {
    let rows = deletion_guards::list(conn, ctx.project.id, user).await?;
    let is_there = |guard: &Guard| rows.iter().any(|row| row.kind == guard.as_str());
    Ok([Guard::LegalHold, Guard::Protection].into_iter().find(is_there))
}

/// What to answer.
pub(super) fn refusal(guard: Guard) -> Error {
    let (code, why) = guard.refusal();
    Error::new(code, why).with_details(json!({"guard": guard.as_str()}))
}
