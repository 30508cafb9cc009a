//! The outbox job: takes what is due, message by message, and hands it over outside any transaction.
//!
//! A message is delivered at least once. Between handing over and writing it down this node may end; the lease lapses,
//! and the message goes out again, with the same message id.

use futures_util::{StreamExt, stream};

use super::logout_token::{self, Silent};
use super::outbox::{Kind, open_mail};
use super::{Done, Run};
use crate::error::Result;
use crate::model::delivery::{Failure, LIFE_SECONDS, Next};
use crate::store::outbox::{self, Due, Leased};

/// Due messages looked up at a time.
const BATCH: i64 = 50;

/// Messages handed over at a time.
const AT_ONCE: usize = 4;

/// How long one message is ours. Longer than the transport may take.
const LEASE_SECONDS: i64 = 300;

/// What became of a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Delivered,
    Waiting,
    Dead,
    /// Another node was faster, or the run had to end before it.
    NotOurs,
}

/// Delivers what is due until nothing is, or the run has to end.
pub(super) async fn deliver(run: &Run) -> Result<Done> {
    let (mut endings, silent) = (Vec::new(), &Silent::default());
    let more = loop {
        let now = run.app.clock.now();
        let due = run.app.db.read(|conn| async move { outbox::list_due(&conn, now, BATCH).await }).await?;
        if due.is_empty() || !run.may_go_on() {
            break !due.is_empty();
        }
        // All of them end before a failure is told: dropping a delivery under way would repeat it.
        let ended: Vec<_> = stream::iter(due)
            .map(|due| deliver_one(run, silent, due))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        endings.extend(ended.into_iter().collect::<Result<Vec<_>>>()?);
    };
    let count = |ending| endings.iter().filter(|ended| **ended == ending).count();
    let (delivered, waiting, dead) = (count(Ending::Delivered), count(Ending::Waiting), count(Ending::Dead));
    Ok(Done { summary: format!("{delivered} delivered, {waiting} to be tried again, {dead} given up"), more })
}

/// Takes one message, hands it over, and writes down what came of it.
async fn deliver_one(run: &Run, silent: &Silent, due: Due) -> Result<Ending> {
    if !run.may_go_on() {
        return Ok(Ending::NotOurs);
    }
    let (app, project, id) = (&*run.app, due.project_id, due.id);
    let (now, lease) = (app.clock.now(), app.entropy.token("")?);
    let (token, until) = (lease.expose(), now.plus_seconds(LEASE_SECONDS));
    let take = |conn| async move { outbox::lease(&conn, project, now, id, token, until).await };
    let Some(leased) = app.db.write(take).await? else { return Ok(Ending::NotOurs) };
    let outcome = if leased.created_at.plus_seconds(LIFE_SECONDS) <= now {
        Err(Failure::Hopeless("older than 7 days"))
    } else {
        hand_over(run, silent, &due, &leased).await
    };
    let now = app.clock.now();
    let Err(failure) = outcome else {
        app.db.write(|conn| async move { outbox::mark_delivered(&conn, project, now, id).await }).await?;
        return Ok(Ending::Delivered);
    };
    let why = failure.as_str();
    match failure.next(now, leased.created_at, leased.attempts) {
        Next::Again { at, attempts } => {
            tracing::info!(%project, message = %id, kind = leased.kind, attempts, why, "not delivered yet");
            let next = (at, attempts);
            let put_back = |conn| async move { outbox::postpone(&conn, project, id, token, next, why).await };
            app.db.write(put_back).await.map(|_| Ending::Waiting)
        }
        Next::GiveUp => {
            tracing::warn!(%project, message = %id, kind = leased.kind, attempts = leased.attempts, why, "given up");
            let end = |conn| async move { outbox::mark_dead(&conn, project, now, id, token, why).await };
            app.db.write(end).await.map(|_| Ending::Dead)
        }
    }
}

/// One attempt, by kind.
async fn hand_over(run: &Run, silent: &Silent, due: &Due, leased: &Leased) -> Result<(), Failure> {
    match Kind::from_text(&leased.kind) {
        Some(Kind::LogoutToken) => logout_token::post(run, silent, due, leased).await,
        Some(Kind::Mail) => {
            let message = open_mail(&run.app, due, leased.sealed_body.as_deref())?;
            run.app.mailer.send(due.id, leased.created_at, &message).await
        }
        // A newer node wrote it, and will deliver it.
        None => Err(Failure::Unsent("unknown kind")),
    }
}
