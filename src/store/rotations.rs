//! Rotations of refresh tokens that come at once: on PostgreSQL one statement and one COMMIT for all who wait. On SQLite the
//! writer lets them share a COMMIT already.

use super::db::Db;
use super::families::{self, Rotation};
use super::gather::{Gather, Together};
use crate::error::Result;

/// Whoever rotates a token asks here. Cloning it shares the queue.
#[derive(Clone)]
pub struct Rotations(Gather<Writes>);

struct Writes;

impl Together for Writes {
    type Asked = Rotation;
    type Answer = bool;

    const MOST: usize = 32;

    async fn serve(db: &Db, rotations: Vec<Rotation>) -> Result<Vec<bool>> {
        let rotations = &rotations[..];
        db.write(|conn| async move { families::rotate_many(&conn, rotations).await }).await
    }
}

impl Rotations {
    pub fn new(db: Db) -> Self {
        Self(Gather::new(db))
    }

    /// Whether it won: `false` when the family is no longer as it was read.
    ///
    /// # Errors
    /// `temporarily_unavailable` when the store is away, or does not answer within the limit of one call.
    pub async fn rotate(&self, rotation: Rotation) -> Result<bool> {
        let db = self.0.db();
        if db.writes_together() && self.0.ask(rotation.clone()).await? {
            return Ok(true);
        }
        // It lost, or its row was held by somebody: whoever has to wait for that does so for itself.
        let rotation = &rotation;
        let changed = db.write(|conn| async move { families::rotate(&conn, rotation).await }).await?;
        Ok(changed > 0)
    }
}
