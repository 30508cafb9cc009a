//! What a proof uses up, in the unit that acts on it: of many who show it at once, one gets through.

use serde_json::json;

use super::factors;
use super::recovery::NewCodes;
use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::Result;
use crate::ids::{FactorId, UserId};
use crate::mail::notices::{self, Notice};
use crate::store::db::Conn;
use crate::store::factors::held;
use crate::store::sign_ins_in_progress::{self, Row};
use crate::store::totp_factors::TotpFactor;
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
    /// An app that is new, and has shown its first code; with it the codes for emergencies, if there are none yet.
    NewTotp {
        factor: TotpFactor,
        codes: Option<NewCodes>,
    },
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
            Self::NewTotp { factor, codes } => {
                factors::add_totp(conn, ctx, user, factor).await?;
                if let Some(codes) = codes {
                    codes.store(conn, ctx, user).await?;
                }
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
            Self::NewTotp { factor, codes } => {
                notices::queue(ctx, conn, user, Notice::FactorAdded("totp")).await?;
                let detail = json!({"kind": "totp", "factor": factor.id, "recovery_codes": codes.is_some()});
                let event = actor.did("factor.added", &target).with(detail);
                audit::append(conn, ctx.project.id, ctx.now, &event).await.map(drop)
            }
        }
    }
}
