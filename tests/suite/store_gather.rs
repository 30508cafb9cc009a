//! What is done for many at once: one that is slow or fails holds up nobody for long.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tessera::error::{Code, Result};
use tessera::store::db::Db;
use tessera::store::gather::{Gather, Together};
use tokio::sync::Notify;

use crate::support::{Database, Engine};

/// What one asks for.
enum Ask {
    Echo(usize),
    Panic,
    WaitFor(Arc<Notify>),
}

struct Echoes;

impl Together for Echoes {
    type Asked = Ask;
    type Answer = usize;

    const MOST: usize = 4;

    async fn serve(_: &Db, asked: Vec<Ask>) -> Result<Vec<usize>> {
        assert!(asked.len() <= Self::MOST);
        let mut answers = Vec::new();
        for ask in asked {
            answers.push(match ask {
                Ask::Echo(number) => number,
                Ask::Panic => panic!("on purpose"),
                Ask::WaitFor(word) => {
                    word.notified().await;
                    0
                }
            });
        }
        Ok(answers)
    }
}

async fn gather() -> (Database, Gather<Echoes>) {
    let (database, db) = Database::migrated(Engine::Sqlite).await;
    (database, Gather::new(db))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_gets_its_own_answer() {
    let (_database, gather) = gather().await;
    let answers = join_all((0..50).map(|number| gather.ask(Ask::Echo(number)))).await;
    let answers: Vec<usize> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers, (0..50).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_panic_nobody_waits_for_ever() {
    let (_database, gather) = gather().await;
    for _ in 0..20 {
        let asks = (0..12).map(|number| gather.ask(if number == 1 { Ask::Panic } else { Ask::Echo(number) }));
        let answers = tokio::time::timeout(Duration::from_secs(5), join_all(asks)).await.unwrap();
        for (number, answer) in answers.into_iter().enumerate() {
            match answer {
                Ok(echo) => assert_eq!(echo, number),
                Err(error) => assert_eq!(error.code(), Code::ServerError),
            }
        }
        // Who asks in the very moment of a panic may hear of it, too.
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(gather.ask(Ask::Echo(7)).await.unwrap(), 7);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_slow_statement_another_sets_out() {
    let (_database, gather) = gather().await;
    let word = Arc::new(Notify::new());
    let slow = gather.ask(Ask::WaitFor(word.clone()));
    let quick = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let echo = gather.ask(Ask::Echo(3)).await.unwrap();
        word.notify_one();
        echo
    };
    let (slow, quick) = tokio::join!(slow, quick);
    assert_eq!((slow.unwrap(), quick), (0, 3));
}
