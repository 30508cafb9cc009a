//! Rotations of refresh tokens that come at once: on PostgreSQL one statement and one COMMIT for all who wait. On SQLite the
//! writer lets them share a COMMIT already.

use futures_util::future::join_all;

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
    /// Each has an outcome of its own.
    type Answer = Result<bool>;

    const MOST: usize = 32;

    async fn serve(db: &Db, rotations: Vec<Rotation>) -> Result<Vec<Result<bool>>> {
        if let [rotation] = &rotations[..] {
            return Ok(vec![alone(db, rotation).await]);
        }
        let rotations = &rotations[..];
        let together = db.write(|conn| async move { families::rotate_many(&conn, rotations).await }).await;
        Ok(match together {
            Ok(won) => won.into_iter().map(Ok).collect(),
            // A row that somebody holds for long is not to fail the others. What did happen does not happen again: a rotation
            // compares before it sets.
            Err(_) => join_all(rotations.iter().map(|rotation| alone(db, rotation))).await,
        })
    }
}

async fn alone(db: &Db, rotation: &Rotation) -> Result<bool> {
    let changed = db.write(|conn| async move { families::rotate(&conn, rotation).await }).await?;
    Ok(changed > 0)
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
        match self.0.db().shares_commits() {
            true => alone(self.0.db(), &rotation).await,
            false => self.0.ask(rotation).await?,
        }
    }
}
