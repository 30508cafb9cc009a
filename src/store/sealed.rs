//! What lies sealed under the master key in tables whose rows have a UUID: walked through when the master key changes.

use sqlx::FromRow;
use uuid::Uuid;

use super::db::{Conn, execute, fetch_all};
use crate::error::Result;
use crate::ids::ProjectId;

#[derive(Clone, Copy, Debug)]
pub enum Table {
    UserKeys,
    Outbox,
    SubjectSalts,
    SandboxSeeds,
    Webhooks,
    MailLinks,
    TotpSeeds,
    RecoveryKeys,
    Events,
}

impl Table {
    pub const ALL: [Self; 9] = [
        Self::UserKeys,
        Self::Outbox,
        Self::SubjectSalts,
        Self::SandboxSeeds,
        Self::Webhooks,
        Self::MailLinks,
        Self::TotpSeeds,
        Self::RecoveryKeys,
        Self::Events,
    ];
}

#[derive(Debug, FromRow)]
pub struct SealedRow {
    pub project_id: ProjectId,
    pub id: Uuid,
    pub sealed: Vec<u8>,
}

/// The first `limit` sealed values of all projects after a row, in the order of the primary key.
pub async fn page(
    conn: &Conn,
    table: Table,
    (project, id): (ProjectId, Uuid),
    limit: i64,
) -> Result<Vec<SealedRow>> {
    match table {
        Table::UserKeys => fetch_all!(
            conn,
            SealedRow,
            "SELECT project_id, user_id AS id, sealed_key AS sealed FROM user_keys
             WHERE (project_id, user_id) > ($1, $2) ORDER BY project_id, user_id LIMIT $3",
            project,
            id,
            limit
        ),
        Table::Outbox => fetch_all!(
            conn,
            SealedRow,
            "SELECT project_id, id, sealed_body AS sealed FROM outbox
             WHERE (project_id, id) > ($1, $2) AND sealed_body IS NOT NULL ORDER BY project_id, id LIMIT $3",
            project,
            id,
            limit
        ),
        Table::SubjectSalts => fetch_all!(
            conn,
            SealedRow,
            "SELECT project_id, id, sealed_salt AS sealed FROM subject_salts
             WHERE (project_id, id) > ($1, $2) ORDER BY project_id, id LIMIT $3",
            project,
            id,
            limit
        ),
        Table::SandboxSeeds => fetch_all!(
            conn,
            SealedRow,
            "SELECT project_id, id, sealed_seed AS sealed FROM sandbox_seeds
             WHERE (project_id, id) > ($1, $2) ORDER BY project_id, id LIMIT $3",
            project,
            id,
            limit
        ),
        Table::Webhooks => fetch_all!(
            conn,
            SealedRow,
            "SELECT project_id, id, sealed_secret AS sealed FROM webhooks
             WHERE (project_id, id) > ($1, $2) ORDER BY project_id, id LIMIT $3",
            project,
            id,
            limit
        ),
        Table::MailLinks => fetch_all!(
            conn,
            SealedRow,
            "SELECT project_id, id, sealed_content AS sealed FROM mail_links
             WHERE (project_id, id) > ($1, $2) ORDER BY project_id, id LIMIT $3",
            project,
            id,
            limit
        ),
        Table::TotpSeeds => fetch_all!(
            conn,
            SealedRow,
            "SELECT project_id, id, sealed_seed AS sealed FROM totp_factors
             WHERE (project_id, id) > ($1, $2) ORDER BY project_id, id LIMIT $3",
            project,
            id,
            limit
        ),
        Table::RecoveryKeys => fetch_all!(
            conn,
            SealedRow,
            "SELECT project_id, user_id AS id, sealed_key AS sealed FROM recovery_sets
             WHERE (project_id, user_id) > ($1, $2) ORDER BY project_id, user_id LIMIT $3",
            project,
            id,
            limit
        ),
        Table::Events => fetch_all!(
            conn,
            SealedRow,
            "SELECT project_id, id, sealed FROM events
             WHERE (project_id, id) > ($1, $2) AND sealed IS NOT NULL ORDER BY project_id, id LIMIT $3",
            project,
            id,
            limit
        ),
    }
}

/// Replaces a sealed value, if it is still the one that was read.
pub async fn reseal(conn: &Conn, table: Table, row: &SealedRow, new: &[u8]) -> Result<u64> {
    match table {
        Table::UserKeys => execute!(
            conn,
            "UPDATE user_keys SET sealed_key = $1 WHERE project_id = $2 AND user_id = $3 AND sealed_key = $4",
            new,
            row.project_id,
            row.id,
            &row.sealed
        ),
        Table::Outbox => execute!(
            conn,
            "UPDATE outbox SET sealed_body = $1 WHERE project_id = $2 AND id = $3 AND sealed_body = $4",
            new,
            row.project_id,
            row.id,
            &row.sealed
        ),
        Table::SubjectSalts => execute!(
            conn,
            "UPDATE subject_salts SET sealed_salt = $1 WHERE project_id = $2 AND id = $3 AND sealed_salt = $4",
            new,
            row.project_id,
            row.id,
            &row.sealed
        ),
        Table::SandboxSeeds => execute!(
            conn,
            "UPDATE sandbox_seeds SET sealed_seed = $1 WHERE project_id = $2 AND id = $3 AND sealed_seed = $4",
            new,
            row.project_id,
            row.id,
            &row.sealed
        ),
        Table::Webhooks => execute!(
            conn,
            "UPDATE webhooks SET sealed_secret = $1 WHERE project_id = $2 AND id = $3 AND sealed_secret = $4",
            new,
            row.project_id,
            row.id,
            &row.sealed
        ),
        Table::MailLinks => execute!(
            conn,
            "UPDATE mail_links SET sealed_content = $1 WHERE project_id = $2 AND id = $3 AND sealed_content = $4",
            new,
            row.project_id,
            row.id,
            &row.sealed
        ),
        Table::TotpSeeds => execute!(
            conn,
            "UPDATE totp_factors SET sealed_seed = $1 WHERE project_id = $2 AND id = $3 AND sealed_seed = $4",
            new,
            row.project_id,
            row.id,
            &row.sealed
        ),
        Table::RecoveryKeys => execute!(
            conn,
            "UPDATE recovery_sets SET sealed_key = $1 WHERE project_id = $2 AND user_id = $3 AND sealed_key = $4",
            new,
            row.project_id,
            row.id,
            &row.sealed
        ),
        Table::Events => execute!(
            conn,
            "UPDATE events SET sealed = $1 WHERE project_id = $2 AND id = $3 AND sealed = $4",
            new,
            row.project_id,
            row.id,
            &row.sealed
        ),
    }
}
