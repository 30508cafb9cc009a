//! What a proof uses up, in the unit that acts on it: of many who show it at once, one gets through.

use serde_json::json;

use super::factors;
use super::passkeys::Made;
use super::recovery::NewCodes;
use super::totp::Confirmed;
use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::Result;
use crate::ids::{FactorId, UserId};
use crate::mail::notices::{self, Notice};
use crate::projects::users::locked;
use crate::store::db::Conn;
use crate::store::factors::held;
use crate::store::sign_ins_in_progress::{self, Row};
use crate::store::{recovery_codes, totp_factors};

/// A proof that was right, and counts once.
pub enum Spend {
    /// Nothing is left of it to be used up.
    Nothing,
    /// A passkey, whose challenge was used up when it was looked at.
    Passkey,
    Totp {
        id: FactorId,
        step: i64,
    },
    RecoveryCode {
        hash: Vec<u8>,
    },
    /// A mailed code, which is the question of this sign-in.
    EmailCode(Box<Row>),
    /// The first factor of somebody who had none; with it come the codes for emergencies.
    New {
        factor: NewFactor,
        codes: NewCodes,
    },
}

/// A factor that has been shown, and is not yet stored.
pub enum NewFactor {
    /// It has shown its first code.
    App(Confirmed),
    Passkey(Box<Made>),
}

impl Spend {
    /// `false`: somebody was faster.
    pub(super) async fn take(&self, conn: &Conn, ctx: &Ctx, user: UserId) -> Result<bool> {
        let (project, now) = (ctx.project.id, ctx.now);
        let rows = match self {
            Self::Nothing | Self::Passkey => 1,
            Self::Totp { id, step } => totp_factors::consume(conn, project, now, user, (*id, *step)).await?,
            Self::RecoveryCode { hash } => recovery_codes::consume(conn, project, now, user, hash).await?,
            Self::EmailCode(row) => sign_ins_in_progress::take_challenge(conn, project, row).await?,
            Self::New { factor, codes } => {
                locked(ctx, conn, user, None).await?;
                // Of two at once only one is the first.
                if !held(conn, project, user).await?.unwrap_or_default().is_bare() {
                    return Ok(false);
                }
                match factor {
                    NewFactor::App(app) if !factors::add_totp(conn, ctx, user, app).await? => {
                        return Ok(false);
                    }
                    NewFactor::App(_) => {}
                    NewFactor::Passkey(made) => made.store(conn, ctx).await?,
                }
                codes.store(conn, ctx, user).await?;
                1
            }
        };
        Ok(rows > 0)
    }

    /// What the audit log keeps of it: the last statements of the unit.
    pub(super) async fn record(&self, conn: &Conn, ctx: &Ctx, user: UserId) -> Result<()> {
        let (actor, target) = (Actor::user(ctx, user), audit::user_name(ctx, user));
        match self {
            Self::Nothing | Self::Passkey | Self::Totp { .. } | Self::EmailCode(_) => Ok(()),
            Self::RecoveryCode { .. } => {
                let left = held(conn, ctx.project.id, user).await?.unwrap_or_default().recovery_codes;
                notices::queue(ctx, conn, user, Notice::RecoveryCodeUsed(left)).await?;
                let event = actor.did("recovery_code.used", &target);
                audit::append(conn, ctx.project.id, ctx.now, &event).await.map(drop)
            }
            Self::New { factor: NewFactor::Passkey(made), .. } => made.record(conn, ctx).await,
            Self::New { factor: NewFactor::App(app), .. } => {
                notices::queue(ctx, conn, user, Notice::FactorAdded("totp")).await?;
                let detail = json!({"kind": "totp", "factor": app.app.id, "recovery_codes": true});
                let event = actor.did("factor.added", &target).with(detail);
                audit::append(conn, ctx.project.id, ctx.now, &event).await.map(drop)
            }
        }
    }
}
