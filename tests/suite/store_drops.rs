//! Futures that nobody polls to their end: units, and statements inside them, on both engines.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use futures_util::FutureExt;
use tessera::error::Code;
use tessera::store::db::{Db, execute};

use crate::support::{Database, Engine, both_engines, count, create_table, has, insert, insert_one};

both_engines!(
    a_unit_dropped_at_any_await_is_whole_or_nothing,
    a_unit_that_dropped_a_statement_is_undone,
    a_unit_that_goes_on_after_a_dropped_statement_is_undone,
);

/// Takes some time on either engine, so that nobody has its answer at once.
const MANY: &str = "INSERT INTO names_of_test (name)
    WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 20000) SELECT CAST(n AS text) FROM n";

/// What is left of a future after its last poll.
#[derive(Clone, Copy)]
enum Drop {
    /// It goes as soon as it waits.
    Waiting,
    /// It goes when it would be polled again: what it waited for is there.
    Woken,
}

/// Polls a future so often; `None` when it was not over by then, and is dropped.
async fn polled<T>(future: impl Future<Output = T>, times: u32, drop: Drop) -> Option<T> {
    let mut future = pin!(future);
    let mut polls = 0;
    poll_fn(|context| {
        if polls == times {
            return Poll::Ready(None);
        }
        polls += 1;
        match (future.as_mut().poll(context), drop) {
            (Poll::Ready(outcome), _) => Poll::Ready(Some(outcome)),
            (Poll::Pending, Drop::Waiting) if polls == times => Poll::Ready(None),
            (Poll::Pending, _) => Poll::Pending,
        }
    })
    .await
}

/// A unit of three rows; `None` when it was dropped.
async fn three(db: &Db, name: &str, times: u32, drop: Drop) -> Option<()> {
    let unit = db.unit(|conn| async move {
        for row in ["a", "b", "c"] {
            insert(&conn, &format!("{name} {row}")).await?;
            // SQLite may answer within one poll: between two statements there is a place to drop it in any case.
            tokio::task::yield_now().await;
        }
        Ok(())
    });
    polled(unit, times, drop).await.map(Result::unwrap)
}

async fn a_unit_dropped_at_any_await_is_whole_or_nothing(engine: Engine) {
    let (_database, db) = Database::migrated(engine).await;
    create_table(&db).await;
    for drop in [Drop::Waiting, Drop::Woken] {
        let (mut times, mut over) = (0, false);
        while !over {
            assert!(times < 1000, "a unit comes to its end");
            let name = format!("{} {times}", drop as u8);
            let before = insert_one(&db, format!("{name} before"));
            over = three(&db, &name, times, drop).await.is_some();
            let after = insert_one(&db, format!("{name} after"));
            before.await.unwrap().unwrap();
            after.await.unwrap().unwrap();
            let first = has(&db, &format!("{name} a")).await;
            for row in ["b", "c"] {
                assert_eq!(has(&db, &format!("{name} {row}")).await, first, "dropped after {times} polls");
            }
            assert!(first || !over);
            times += 1;
        }
        assert!(times > 4, "there was more than one place to drop it");
    }
}

async fn a_unit_that_dropped_a_statement_is_undone(engine: Engine) {
    let (_database, db) = Database::migrated(engine).await;
    create_table(&db).await;
    let unit = db.unit(|conn| async move {
        insert(&conn, "before").await?;
        assert!(async { execute!(conn, MANY) }.now_or_never().is_none());
        Ok(())
    });
    assert_eq!(unit.await.unwrap_err().code(), Code::ServerError);
    insert_one(&db, "next").await.unwrap().unwrap();
    assert_eq!(count(&db).await, 1);
}

/// Nobody knows whether the dropped one has happened.
async fn a_unit_that_goes_on_after_a_dropped_statement_is_undone(engine: Engine) {
    let (_database, db) = Database::migrated(engine).await;
    create_table(&db).await;
    let unit = db.unit(|conn| async move {
        assert!(async { execute!(conn, MANY) }.now_or_never().is_none());
        assert_eq!(insert(&conn, "after").await.unwrap_err().code(), Code::ServerError);
        Ok(())
    });
    assert_eq!(unit.await.unwrap_err().code(), Code::ServerError);
    insert_one(&db, "next").await.unwrap().unwrap();
    assert_eq!(count(&db).await, 1);
}
