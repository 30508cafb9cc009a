//! The outbox job: takes what is due, message by message, and hands it over outside any transaction.
//!
//! A message is delivered at least once. Between handing over and writing it down this node may end; the lease lapses,
//! and the message goes out again, with the same message id.

use futures_util::{StreamExt, stream};

use super::letters;
use super::logout_token;
use super::outbox::{self as bodies, Kind};
use super::shares::Shares;
use super::{Done, Run, webhook};
use crate::error::Result;
use crate::model::delivery::{Failure, LIFE_SECONDS, Next};
use crate::store::outbox::{self, Due, Leased};

/// Due messages looked up at a time.
const BATCH: i64 = 50;

/// Letters handed over at a time, and posts: logout tokens and events.
const LETTERS_AT_ONCE: usize = 4;
const POSTS_AT_ONCE: usize = 8;

/// How long one message is ours. Longer than the transport may take.
const LEASE_SECONDS: i64 = 300;

/// What became of a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Delivered,
    Waiting,
    Dead,
    /// Another node was faster, the run had to end before it, or its client is called no more.
    NotOurs,
}

/// What became of them all.
#[derive(Default)]
struct Tally {
    delivered: u64,
    waiting: u64,
    dead: u64,
    /// The run had to end before the rest.
    more: bool,
}

impl Tally {
    fn add(&mut self, ending: Ending) {
        match ending {
            Ending::Delivered => self.delivered += 1,
            Ending::Waiting => self.waiting += 1,
            Ending::Dead => self.dead += 1,
            Ending::NotOurs => {}
        }
    }
}

/// Delivers what is due until nothing is, or the run has to end. Letters do not wait behind the receivers of posts, nor
/// these behind our mail server.
pub(super) async fn deliver(run: &Run) -> Result<Done> {
    let shares = &Shares::new(run.app.callouts.time());
    // Each ends before a failure of the other is told. They are large, and the stack that polls them need not be.
    let letters = Box::pin(deliver_letters(run, shares));
    let posts = Box::pin(deliver_posts(run, shares));
    let (letters, posts) = tokio::join!(letters, posts);
    let (letters, posts) = (letters?, posts?);
    let (delivered, waiting) = (letters.delivered + posts.delivered, letters.waiting + posts.waiting);
    let (dead, more) = (letters.dead + posts.dead, letters.more || posts.more);
    Ok(Done { summary: format!("{delivered} delivered, {waiting} to be tried again, {dead} given up"), more })
}

async fn deliver_letters(run: &Run, shares: &Shares) -> Result<Tally> {
    let mut tally = Tally::default();
    loop {
        let now = run.app.clock.now();
        let list = |conn| async move { outbox::list_due_letters(&conn, now, BATCH).await };
        let due = run.app.db.read(list).await?;
        if due.is_empty() || !run.may_go_on() {
            return Ok(Tally { more: !due.is_empty(), ..tally });
        }
        deliver_all(run, shares, due, LETTERS_AT_ONCE, &mut tally).await?;
    }
}

async fn deliver_posts(run: &Run, shares: &Shares) -> Result<Tally> {
    let mut tally = Tally::default();
    loop {
        let now = run.app.clock.now();
        let list = |conn| async move { outbox::list_due_posts(&conn, now, BATCH).await };
        let due = run.app.db.read(list).await?;
        if due.is_empty() || !run.may_go_on() {
            return Ok(Tally { more: !due.is_empty(), ..tally });
        }
        deliver_all(run, shares, due, POSTS_AT_ONCE, &mut tally).await?;
        tally.waiting += set_aside(run, shares).await?;
    }
}

async fn deliver_all(
    run: &Run,
    shares: &Shares,
    due: Vec<Due>,
    at_once: usize,
    tally: &mut Tally,
) -> Result<()> {
    // All of them end before a failure is told: dropping a delivery under way would repeat it.
    let ended: Vec<_> = stream::iter(due)
        .map(|due| Box::pin(deliver_one(run, shares, due)))
        .buffer_unordered(at_once)
        .collect()
        .await;
    for ending in ended {
        tally.add(ending?);
    }
    Ok(())
}

/// What is for those who are called no more in this run. Messages whose life is over stay, to be given up.
async fn set_aside(run: &Run, shares: &Shares) -> Result<u64> {
    let mut count = 0;
    for ((project, client), spent) in shares.spent() {
        let now = run.app.clock.now();
        let span = (now.plus_seconds(-LIFE_SECONDS), now.plus_seconds(spent.pause));
        let aside =
            |conn| async move { outbox::set_aside(&conn, project, now, client, span, spent.why).await };
        count += run.app.db.write(aside).await?;
    }
    Ok(count)
}

/// Takes one message, hands it over, and writes down what came of it.
async fn deliver_one(run: &Run, shares: &Shares, due: Due) -> Result<Ending> {
    let (app, project, id) = (&*run.app, due.project_id, due.id);
    let now = app.clock.now();
    let is_over = due.created_at.plus_seconds(LIFE_SECONDS) <= now;
    let is_spent = due.client_id.is_some_and(|client| shares.is_spent(project, client));
    if !run.may_go_on() || (is_spent && !is_over) {
        return Ok(Ending::NotOurs);
    }
    let lease = app.entropy.token("")?;
    let (token, until) = (lease.expose(), now.plus_seconds(LEASE_SECONDS));
    let take = |conn| async move { outbox::lease(&conn, project, now, id, token, until).await };
    let Some(leased) = app.db.write(take).await? else { return Ok(Ending::NotOurs) };
    let outcome = if leased.created_at.plus_seconds(LIFE_SECONDS) <= now {
        Err(Failure::Hopeless("older than 7 days"))
    } else {
        hand_over(run, shares, &due, &leased).await
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
            let when = (now, now.plus_seconds(-LIFE_SECONDS));
            let end = |conn| async move { outbox::mark_dead(&conn, project, when, id, token, why).await };
            app.db.write(end).await.map(|_| Ending::Dead)
        }
    }
}

/// One attempt, by kind.
async fn hand_over(run: &Run, shares: &Shares, due: &Due, leased: &Leased) -> Result<(), Failure> {
    match Kind::from_text(&leased.kind) {
        Some(Kind::LogoutToken) => logout_token::post(run, shares, due, leased).await,
        Some(Kind::Webhook) => webhook::post(run, shares, due, leased).await,
        Some(Kind::Mail) => {
            let mail = bodies::open(&run.app, due, leased.sealed_body.as_deref())?;
            // Large futures, and this one is polled on a small stack.
            let message = Box::pin(letters::written(run, due, mail)).await?;
            run.app.mailer.send(due.id, leased.created_at, &message).await
        }
        Some(Kind::MailRequest) => {
            let request = bodies::open(&run.app, due, leased.sealed_body.as_deref())?;
            Box::pin(letters::answer(run, due, request)).await
        }
        // A newer node wrote it, and will deliver it.
        None => Err(Failure::Unsent("unknown kind")),
    }
}
