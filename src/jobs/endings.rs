//! A client or a project has ended as a whole, and with it any number of sessions: their logout tokens are owed in batches,
//! so that the end itself never waits for them.

use super::{Done, Run};
use crate::error::Result;
use crate::store::endings::{self, Ending};

/// Ends that are worked on by turns, so that nobody's many sessions stand before another's few.
const MOST: i64 = 20;

pub(super) async fn tell(run: &Run) -> Result<Done> {
    let (db, mut owed) = (&run.app.db, 0);
    while run.may_go_on() {
        let list = db.read(|conn| async move { endings::list(&conn, MOST).await }).await?;
        if list.is_empty() {
            return Ok(Done { summary: format!("{owed} logout tokens are owed"), more: false });
        }
        for ending in &list {
            owed += batch(run, ending).await?;
        }
    }
    Ok(Done { summary: format!("{owed} logout tokens are owed, and more to come"), more: true })
}

async fn batch(run: &Run, ending: &Ending) -> Result<u64> {
    let now = run.app.clock.now();
    let one = |conn| async move {
        let Some(last) = endings::find_last_of_batch(&conn, ending).await? else {
            return endings::finish(&conn, ending).await.map(|_| 0);
        };
        let owed = endings::owe(&conn, now, ending, last).await?;
        endings::advance(&conn, ending, last).await.map(|_| owed)
    };
    run.app.db.unit(one).await
}
