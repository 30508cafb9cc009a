//! The outbox: what was committed leaves at least once, and what is personal in it does not stay.

use std::collections::BTreeSet;
use std::sync::Arc;

use tessera::error::Error;
use tessera::ids::{OutboxId, ProjectId};
use tessera::jobs::outbox::seal_mail;
use tessera::jobs::{Job, start};
use tessera::mail::Message;
use tessera::model::timestamp::Timestamp;
use tessera::store::db::{Conn, execute, fetch_one};
use tessera::store::outbox;

use crate::jobs::{count, row, run_well};
use crate::support::{Engine, Manner, SmtpServer, TestApp, both_engines, deletion_notice};

both_engines!(
    a_committed_message_leaves_and_its_body_is_erased,
    a_rolled_back_unit_leaves_nothing,
    a_server_that_is_busy_is_asked_again,
    a_refused_message_is_given_up,
    after_seven_days_nothing_is_left_to_send,
    without_a_transport_messages_wait,
    two_nodes_send_each_message_once,
    a_lost_answer_repeats_the_message,
    a_node_that_died_is_replaced,
    a_body_opens_only_where_it_lies,
    a_message_of_a_newer_node_waits_for_it,
    a_stop_lets_the_delivery_finish,
);

const ADDRESS: &str = "alice@example.com";
const DAY: i64 = 86_400;

/// Seals and enqueues a message in a unit of its own.
pub async fn enqueue(app: &TestApp, project: ProjectId, message: &Message) -> OutboxId {
    let now = app.app.clock.now();
    let sealed = &seal_mail(&app.app, project, now, message).unwrap();
    let kind = sealed.kind.as_str();
    let enqueue =
        |conn| async move { outbox::enqueue(&conn, project, now, sealed.id, kind, &sealed.body).await };
    assert_eq!(app.app.db.unit(enqueue).await.unwrap(), 1);
    sealed.id
}

/// A message as operators see it.
#[derive(Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct Seen {
    pub state: String,
    pub attempts: i64,
    pub next_attempt_at: Timestamp,
    pub lease: Option<String>,
    pub last_error: Option<String>,
    pub sealed_body: Option<Vec<u8>>,
}

pub async fn seen(app: &TestApp, project: ProjectId, id: OutboxId) -> Seen {
    let read = |conn: Conn| async move {
        fetch_one!(
            conn,
            Seen,
            "SELECT state, attempts, next_attempt_at, lease, last_error, sealed_body FROM outbox
             WHERE project_id = $1 AND id = $2",
            project,
            id
        )
    };
    app.app.db.read(read).await.unwrap()
}

impl Seen {
    /// State, attempts, last error; the body must be there while it waits and gone when it is delivered, and no lease in between.
    pub fn told(&self) -> (&str, i64, Option<&str>) {
        assert!(self.state == "dead" || self.sealed_body.is_some() == (self.state == "waiting"), "{self:?}");
        assert_eq!(self.lease, None);
        (&self.state, self.attempts, self.last_error.as_deref())
    }
}

async fn project(app: &TestApp, slug: &str) -> ProjectId {
    tessera::projects::create_project(&app.app, slug, slug).await.unwrap().id
}

async fn a_committed_message_leaves_and_its_body_is_erased(engine: Engine) {
    let server = SmtpServer::start().await;
    let app = TestApp::changed(engine, |app| app.mailer = server.mailer()).await;
    let project = project(&app, "shop").await;
    let id = enqueue(&app, project, &deletion_notice("Shop", ADDRESS)).await;
    let waiting = seen(&app, project, id).await;
    assert_eq!(waiting.told(), ("waiting", 0, None));
    let body = String::from_utf8_lossy(waiting.sealed_body.as_ref().unwrap()).into_owned();
    assert!(!body.contains("alice") && !body.contains("deleted"), "the body is sealed");
    run_well(&app.app).await;
    let received = server.received();
    assert_eq!(received.len(), 1);
    assert_eq!(
        (received[0].from.as_str(), &received[0].to[..]),
        ("no-reply@id.example", &[ADDRESS.into()][..])
    );
    assert_eq!(received[0].heading("Subject"), "Your account at Shop has been deleted");
    assert_eq!(received[0].heading("Message-ID"), format!("<{id}@id.example>"));
    assert_eq!(seen(&app, project, id).await.told(), ("delivered", 1, None));
    assert_eq!(
        row(&app.app, Job::Outbox).await.outcome.unwrap(),
        "ok: 1 delivered, 0 to be tried again, 0 given up"
    );
    app.app.clock.advance(DAY);
    run_well(&app.app).await;
    assert_eq!(server.received().len(), 1, "once");
}

async fn a_rolled_back_unit_leaves_nothing(engine: Engine) {
    let server = SmtpServer::start().await;
    let app = TestApp::changed(engine, |app| app.mailer = server.mailer()).await;
    let (project, now) = (project(&app, "shop").await, app.app.clock.now());
    let sealed = &seal_mail(&app.app, project, now, &deletion_notice("Shop", ADDRESS)).unwrap();
    let undone = |conn| async move {
        outbox::enqueue(&conn, project, now, sealed.id, sealed.kind.as_str(), &sealed.body).await?;
        Err::<(), _>(Error::internal("the act did not happen"))
    };
    app.app.db.unit(undone).await.unwrap_err();
    run_well(&app.app).await;
    assert_eq!(count(&app.app, project, "outbox", "TRUE").await, 0);
    assert!(server.received().is_empty());
}

async fn a_server_that_is_busy_is_asked_again(engine: Engine) {
    let busy = Manner { recipient: "451 4.3.0 <alice@example.com>: try later", ..Manner::default() };
    let server = SmtpServer::with(busy).await;
    let app = TestApp::changed(engine, |app| app.mailer = server.mailer()).await;
    let project = project(&app, "shop").await;
    let id = enqueue(&app, project, &deletion_notice("Shop", ADDRESS)).await;
    for (attempt, pause) in [(1, 30), (2, 60), (3, 120)] {
        run_well(&app.app).await;
        let seen = seen(&app, project, id).await;
        assert_eq!(seen.told(), ("waiting", attempt, Some("smtp 451")), "and no address in it");
        assert_eq!(seen.next_attempt_at, app.app.clock.now().plus_seconds(pause));
        app.app.clock.advance(pause - 5);
        run_well(&app.app).await;
        app.app.clock.advance(5);
    }
    server.behave(Manner::default());
    run_well(&app.app).await;
    assert_eq!(seen(&app, project, id).await.told(), ("delivered", 4, None));
    assert_eq!(server.received().len(), 1);
}

async fn a_refused_message_is_given_up(engine: Engine) {
    let unknown = Manner { recipient: "550 5.1.1 <alice@example.com>: no such user", ..Manner::default() };
    let server = SmtpServer::with(unknown).await;
    let app = TestApp::changed(engine, |app| app.mailer = server.mailer()).await;
    let project = project(&app, "shop").await;
    let id = enqueue(&app, project, &deletion_notice("Shop", ADDRESS)).await;
    for attempt in 1..5 {
        run_well(&app.app).await;
        assert_eq!(seen(&app, project, id).await.told(), ("waiting", attempt, Some("smtp 550")));
        app.app.clock.advance(DAY / 4);
    }
    run_well(&app.app).await;
    let dead = seen(&app, project, id).await;
    assert_eq!(dead.told(), ("dead", 5, Some("smtp 550")));
    assert!(dead.sealed_body.is_some(), "for a week, it can be sent again");
    server.behave(Manner::default());
    app.app.clock.advance(DAY);
    run_well(&app.app).await;
    assert!(server.received().is_empty());
}

async fn after_seven_days_nothing_is_left_to_send(engine: Engine) {
    let server = SmtpServer::start().await;
    let app = TestApp::new(engine).await;
    let project = project(&app, "shop").await;
    let id = enqueue(&app, project, &deletion_notice("Shop", ADDRESS)).await;
    run_well(&app.app).await;
    app.app.clock.advance(7 * DAY - 1);
    run_well(&app.app).await;
    let expected = ("waiting", 0, Some("no mail transport is configured"));
    assert_eq!(seen(&app, project, id).await.told(), expected);
    app.app.clock.advance(600);
    // A transport that comes too late changes nothing.
    let late = app.second_node_changed(|app| app.mailer = server.mailer()).await;
    run_well(&late.app).await;
    let seen = seen(&app, project, id).await;
    assert_eq!((seen.told().0, seen.told().2), ("dead", Some("older than 7 days")));
    assert_eq!(seen.sealed_body, None);
    assert!(server.received().is_empty());
}

async fn without_a_transport_messages_wait(engine: Engine) {
    let server = SmtpServer::start().await;
    let app = TestApp::new(engine).await;
    let project = project(&app, "shop").await;
    let id = enqueue(&app, project, &deletion_notice("Shop", ADDRESS)).await;
    for _ in 0..30 {
        run_well(&app.app).await;
        app.app.clock.advance(300);
    }
    let expected = ("waiting", 0, Some("no mail transport is configured"));
    assert_eq!(seen(&app, project, id).await.told(), expected, "waiting is no attempt");
    let configured = app.second_node_changed(|app| app.mailer = server.mailer()).await;
    run_well(&configured.app).await;
    assert_eq!(seen(&app, project, id).await.told(), ("delivered", 1, None));
    assert_eq!(server.received().len(), 1);
}

async fn two_nodes_send_each_message_once(engine: Engine) {
    let server = SmtpServer::start().await;
    let first = TestApp::changed(engine, |app| app.mailer = server.mailer()).await;
    let second = first.second_node_changed(|app| app.mailer = server.mailer()).await;
    let projects = [project(&first, "shop").await, project(&first, "other").await];
    let mut ids = BTreeSet::new();
    for n in 0..60 {
        let id = enqueue(&first, projects[n % 2], &deletion_notice("Shop", ADDRESS)).await;
        ids.insert(format!("<{id}@id.example>"));
    }
    // The lease of the job itself lapses in the middle, so that both nodes are at it.
    server.close_gate();
    let slow = tokio::spawn({
        let app = Arc::clone(&first.app);
        async move { run_well(&app).await }
    });
    server.arrived(4).await;
    let lapse = |conn: Conn| async move { execute!(conn, "UPDATE jobs SET lease_until = next_run_at") };
    first.app.db.write(lapse).await.unwrap();
    let other = tokio::spawn({
        let app = Arc::clone(&second.app);
        async move { run_well(&app).await }
    });
    server.arrived(8).await;
    server.open_gate();
    slow.await.unwrap();
    other.await.unwrap();
    let received = server.received();
    assert_eq!(received.len(), 60);
    let sent: BTreeSet<_> = received.iter().map(|mail| mail.heading("Message-ID").to_owned()).collect();
    assert_eq!(sent, ids);
    for project in projects {
        assert_eq!(count(&first.app, project, "outbox", "state = 'delivered'").await, 30);
    }
}

async fn a_lost_answer_repeats_the_message(engine: Engine) {
    let server = SmtpServer::with(Manner { hangs_up: true, ..Manner::default() }).await;
    let app = TestApp::changed(engine, |app| app.mailer = server.mailer()).await;
    let project = project(&app, "shop").await;
    let id = enqueue(&app, project, &deletion_notice("Shop", ADDRESS)).await;
    run_well(&app.app).await;
    assert_eq!(seen(&app, project, id).await.told(), ("waiting", 1, Some("the connection failed")));
    server.behave(Manner::default());
    app.app.clock.advance(30);
    run_well(&app.app).await;
    assert_eq!(seen(&app, project, id).await.told(), ("delivered", 2, None));
    let received = server.received();
    assert_eq!(
        (received.len(), &received[0]),
        (2, &received[1]),
        "the same to the byte, message id and date included"
    );
}

async fn a_node_that_died_is_replaced(engine: Engine) {
    let server = SmtpServer::start().await;
    let app = TestApp::changed(engine, |app| app.mailer = server.mailer()).await;
    let project = project(&app, "shop").await;
    let id = enqueue(&app, project, &deletion_notice("Shop", ADDRESS)).await;
    // It took the message, and nobody heard of it again.
    let (now, until) = (app.app.clock.now(), app.app.clock.now().plus_seconds(300));
    let take = |conn| async move { outbox::lease(&conn, project, now, id, "dead", until).await };
    assert!(app.app.db.write(take).await.unwrap().is_some());
    assert!(app.app.db.write(take).await.unwrap().is_none(), "one node at a time");
    app.app.clock.advance(299);
    run_well(&app.app).await;
    assert!(server.received().is_empty());
    app.app.clock.advance(5);
    run_well(&app.app).await;
    assert_eq!(seen(&app, project, id).await.told(), ("delivered", 2, None));
    // What it would write down now is too late.
    let when = (now, now.plus_seconds(-7 * DAY));
    let dead = |conn| async move { outbox::mark_dead(&conn, project, when, id, "dead", "smtp 550").await };
    assert_eq!(app.app.db.write(dead).await.unwrap(), 0);
    let again =
        |conn| async move { outbox::postpone(&conn, project, id, "dead", (now, 1), "smtp 451").await };
    assert_eq!(app.app.db.write(again).await.unwrap(), 0);
    assert_eq!(server.received().len(), 1);
}

async fn a_body_opens_only_where_it_lies(engine: Engine) {
    let server = SmtpServer::start().await;
    let app = TestApp::changed(engine, |app| app.mailer = server.mailer()).await;
    let (shop, other) = (project(&app, "shop").await, project(&app, "other").await);
    let id = enqueue(&app, shop, &deletion_notice("Shop", ADDRESS)).await;
    let now = app.app.clock.now();
    // Somebody with the store in hand gives the body to another project.
    let copy = |conn: Conn| async move {
        execute!(
            conn,
            "INSERT INTO outbox (project_id, id, kind, sealed_body, state, attempts, next_attempt_at, created_at)
             SELECT $1, id, kind, sealed_body, state, attempts, next_attempt_at, created_at
             FROM outbox WHERE project_id = $2",
            other,
            shop
        )
    };
    assert_eq!(app.app.db.write(copy).await.unwrap(), 1);
    // The store functions of one project do not reach the other's message.
    let take = |conn| async move { outbox::lease(&conn, ProjectId::INSTANCE, now, id, "x", now).await };
    assert!(app.app.db.write(take).await.unwrap().is_none());
    run_well(&app.app).await;
    assert_eq!(seen(&app, shop, id).await.told(), ("delivered", 1, None));
    assert_eq!(seen(&app, other, id).await.told(), ("waiting", 1, Some("the body does not open")));
    assert_eq!(server.received().len(), 1);
}

async fn a_message_of_a_newer_node_waits_for_it(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (project, now) = (project(&app, "shop").await, app.app.clock.now());
    let id: OutboxId = app.app.entropy.id(now).unwrap();
    let newer = |conn| async move { outbox::enqueue(&conn, project, now, id, "telegram", b"sealed").await };
    app.app.db.unit(newer).await.unwrap();
    run_well(&app.app).await;
    assert_eq!(seen(&app, project, id).await.told(), ("waiting", 0, Some("unknown kind")));
}

async fn a_stop_lets_the_delivery_finish(engine: Engine) {
    let server = SmtpServer::start().await;
    let app = TestApp::changed(engine, |app| app.mailer = server.mailer()).await;
    let project = project(&app, "shop").await;
    for _ in 0..6 {
        enqueue(&app, project, &deletion_notice("Shop", ADDRESS)).await;
    }
    server.close_gate();
    let runner = start(&app.app);
    server.arrived(4).await;
    let stopped = tokio::spawn(runner.stop());
    // Four are under way. They are finished, and the other two are not begun.
    tokio::task::yield_now().await;
    assert!(!stopped.is_finished());
    server.open_gate();
    stopped.await.unwrap();
    assert_eq!(count(&app.app, project, "outbox", "state = 'delivered'").await, 4);
    assert_eq!(count(&app.app, project, "outbox", "state = 'waiting' AND lease IS NULL").await, 2);
    assert_eq!(row(&app.app, Job::Outbox).await.lease_until, None, "the next node need not wait");
}
