//! `kill -9` at each step of a deletion: a process of its own stands before each statement in turn, and is killed there. Then
//! the user is whole or gone, and a node that starts finishes what was begun, once.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use serde_json::json;
use tessera::app::App;
use tessera::audit::{Actor, Verdict, user_name, verify};
use tessera::ids::{DeletionId, UserId};
use tessera::jobs::run_due;
use tessera::model::timestamp::Timestamp;
use tessera::projects;
use tessera::secret::Secret;
use tessera::session::delete_user::{self, Notify};
use tessera::store::db::Conn;

use crate::support::{Deleting, Engine, PASSWORD, REASON, Shop, SmtpServer, TestApp, both_engines};

both_engines!(a_confirmation_is_killed, a_schedule_is_killed, the_jobs_are_killed);

/// What the process has to do, and before which of its statements it stops.
#[derive(Serialize, Deserialize)]
pub struct Order {
    act: Act,
    stop_at: u32,
    database: String,
    ledger: PathBuf,
    smtp: u16,
    now: i64,
}

#[derive(Clone, Serialize, Deserialize)]
pub enum Act {
    /// A deletion of this user is asked for.
    Request(UserId),
    /// It is confirmed by the user name: executed at once, or scheduled.
    Confirm(DeletionId, String),
    Cancel(DeletionId),
    /// The page of the letter's link, by its path, is opened, and its form is sent.
    Object(String),
    /// One whose day has come is executed, and the letter is delivered.
    Jobs,
    /// The deletion of a project is confirmed: by this key, what is to be posted where.
    EndProject {
        key: String,
        path: String,
        slug: String,
    },
}

impl Act {
    async fn run(self, node: &TestApp) {
        let app = &node.app;
        let visit = tessera::app::Visit::of_nobody(app, "shop", app.clock.now());
        let (ctx, actor) = (visit.current().await.unwrap(), Actor::command_line());
        match self {
            Self::Request(user) => {
                delete_user::request(&ctx, &actor, user, REASON, Notify::default()).await.unwrap();
            }
            Self::Confirm(deletion, name) => {
                delete_user::confirm(&ctx, &actor, deletion, Some(&name)).await.unwrap();
            }
            Self::Cancel(deletion) => delete_user::cancel(&ctx, &actor, deletion).await.unwrap(),
            Self::Object(path) => {
                let seen = node.follow_link(&format!("{}{path}", node.base), &[]).await;
                assert_eq!(seen.status, 200, "{}", seen.text);
            }
            Self::Jobs => {
                for _ in 0..2 {
                    run_due(app).await.unwrap();
                    app.clock.advance(61);
                }
            }
            Self::EndProject { key, path, slug } => {
                node.admin_post(&key, &path, json!({"confirmation": slug})).await.ok();
            }
        }
    }
}

const ORDER: &str = "TESSERA_TEST_KILL";

const DAY: i64 = 86_400;

/// The process itself; without an order it does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_process() {
    let Ok(order) = std::env::var(ORDER) else { return };
    let order: Order = serde_json::from_str(&order).unwrap();
    let now = Timestamp::from_micros(order.now);
    let change = |app: &mut App| equip(app, &order.ledger, order.smtp);
    let node = TestApp::joining(&order.database, now, change).await;
    node.app.cache.project(&node.app, "shop").await.unwrap();
    let mut statements = node.app.db.hold_statements();
    let mut work = tokio::spawn(async move { order.act.run(&node).await });
    let mut held = None;
    for _ in 0..order.stop_at {
        drop(held.take());
        held = tokio::select! {
            held = statements.recv() => held,
            done = &mut work => {
                done.unwrap();
                println!("\ndone");
                return;
            }
        };
    }
    println!("\nheld");
    std::future::pending::<()>().await;
}

fn equip(app: &mut App, ledger: &Path, smtp: u16) {
    app.erasure_ledger = Some(ledger.to_owned());
    app.mailer = SmtpServer::mailer_at(smtp);
}

/// Starts the process, and kills it where it stands. False: it was done before.
pub fn kill(order: &Order) -> bool {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["delete_user_kill::the_process", "--exact", "--nocapture", "--test-threads=1"])
        .env(ORDER, serde_json::to_string(order).unwrap())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let said = lines.into_iter().find(|line| line == "held" || line == "done");
    // SIGKILL: nothing is finished, nothing is closed.
    child.kill().unwrap();
    child.wait().unwrap();
    said.expect("the process has failed") == "held"
}

pub struct Scene {
    pub app: TestApp,
    pub shop: Shop,
    pub admin: String,
    smtp: SmtpServer,
    directory: tempfile::TempDir,
}

#[derive(sqlx::FromRow)]
struct Count {
    n: i64,
}

impl Scene {
    pub async fn new(engine: Engine) -> Self {
        let (smtp, directory) = (SmtpServer::start().await, tempfile::tempdir().unwrap());
        let ledger = directory.path().join("ledger");
        let app = TestApp::changed(engine, |app| equip(app, &ledger, smtp.port)).await;
        let shop = app.shop("shop", "confidential").await;
        let admin = Deleting::new(&app, &shop).await.key;
        Self { app, shop, admin, smtp, directory }
    }

    pub fn ledger(&self) -> PathBuf {
        self.directory.path().join("ledger")
    }

    pub async fn person(&self, n: u32) -> (UserId, String) {
        let name = format!("user{n}");
        let (email, password) = (format!("{name}@example.com"), Secret::new(PASSWORD));
        let user = projects::create_user(&self.app.app, self.shop.project, &name, Some(&email), password);
        let user = user.await.unwrap();
        // So that the letter of a scheduled deletion has its link.
        crate::support::run(&self.app.app.db, "UPDATE users SET email_verified = TRUE").await;
        self.app.sign_in_as(&self.shop, &name).await;
        (user, name)
    }

    pub fn order(&self, act: Act, stop_at: u32) -> Order {
        let (database, ledger) = (self.app.database.url.clone(), self.ledger());
        Order { act, stop_at, database, ledger, smtp: self.smtp.port, now: self.app.app.clock.now().micros() }
    }

    /// How many there are of a user; `$1` is the user, `$2` the name in the audit log.
    pub async fn count(&self, sql: &'static str, user: UserId) -> i64 {
        let name = user_name(&self.app.ctx(&self.shop).await, user);
        let name = name.as_str();
        let read = |conn: Conn| async move {
            match sql.contains("$1") {
                true => tessera::fetch_one!(&conn, Count, sql, user),
                false => {
                    tessera::fetch_one!(&conn, Count, sql.replace("$2", "$1").leak() as &'static str, name)
                }
            }
        };
        self.app.app.db.read(read).await.unwrap().n
    }

    /// Whether the user is gone, which is all of these or none.
    async fn is_gone(&self, user: UserId, at: u32) -> bool {
        let gone =
            self.count("SELECT count(*) AS n FROM users WHERE id = $1 AND username IS NULL", user).await;
        let events = "SELECT count(*) AS n FROM audit_log WHERE action = 'user.deleted' AND target = $2";
        assert_eq!(self.count(events, user).await, gone, "killed at {at}");
        let executed = "SELECT count(*) AS n FROM deletions WHERE state = 'executed' AND user_id = $1";
        assert_eq!(self.count(executed, user).await, gone, "killed at {at}");
        for kept in ["credentials", "browser_sessions", "token_families"] {
            let sql: &'static str = format!("SELECT count(*) AS n FROM {kept} WHERE user_id = $1").leak();
            assert_eq!(self.count(sql, user).await, 1 - gone, "{kept}, killed at {at}");
        }
        gone == 1
    }

    /// Whether the user waits for the day, which is all of these or none.
    pub async fn is_scheduled(&self, user: UserId, at: u32) -> bool {
        let waits =
            self.count("SELECT count(*) AS n FROM users WHERE id = $1 AND status = 'disabled'", user).await;
        for sql in [
            "SELECT count(*) AS n FROM deletions WHERE state = 'scheduled' AND user_id = $1",
            "SELECT count(*) AS n FROM audit_log WHERE action = 'user.deletion_scheduled' AND target = $2",
            "SELECT count(*) AS n FROM mail_links WHERE user_id = $1 AND deletion_id IS NOT NULL",
            "SELECT count(*) AS n FROM outbox WHERE user_id = $1 AND kind = 'mail'",
        ] {
            assert_eq!(self.count(sql, user).await, waits, "{sql}, killed at {at}");
        }
        waits == 1
    }

    /// After everything was started again: gone, once, and told of.
    async fn check_done(&self, user: UserId, name: &str, n: u32) {
        assert!(self.is_gone(user, n).await);
        for table in
            ["credentials", "browser_sessions", "token_families", "user_keys", "events", "mail_links"]
        {
            let sql: &'static str = format!("SELECT count(*) AS n FROM {table} WHERE user_id = $1").leak();
            assert_eq!(self.count(sql, user).await, 0, "{table}, killed at {n}");
        }
        let lines = std::fs::read_to_string(self.ledger()).unwrap();
        let own = lines.lines().filter(|line| line.contains(&user.to_string())).count();
        assert_eq!((lines.lines().count(), own), (n as usize, 1), "killed at {n}");
        let address = format!("{name}@example.com");
        let mails = self.smtp.received();
        let told: Vec<_> = mails
            .iter()
            .filter(|mail| {
                mail.to == [address.as_str()] && mail.heading("Subject").contains("has been deleted")
            })
            .map(|mail| mail.heading("Message-ID"))
            .collect();
        assert!(!told.is_empty() && told.iter().all(|id| *id == told[0]), "killed at {n}: {told:?}");
        assert!(matches!(verify(&self.app.app.db, self.shop.project).await.unwrap(), Verdict::Whole { .. }));
    }

    /// A node starts, goes on for a while, and ends.
    pub async fn restart(&self) {
        let ledger = self.ledger();
        let node = self.app.second_node_changed(|app| equip(app, &ledger, self.smtp.port)).await;
        for _ in 0..6 {
            node.app.clock.advance(120);
            run_due(&node.app).await.unwrap();
        }
        // As each node does every ten seconds.
        tessera::ledger::file::copy_soon(&node.app).await;
        node.app.db.close().await;
    }
}

async fn a_confirmation_is_killed(engine: Engine) {
    let scene = Scene::new(engine).await;
    let mut n = 0;
    let mut killed = true;
    while killed {
        n += 1;
        let (user, name) = scene.person(n).await;
        let ctx = scene.app.ctx(&scene.shop).await;
        let actor = &Actor::command_line();
        let asked = delete_user::request(&ctx, actor, user, REASON, Notify::default()).await.unwrap();
        killed = kill(&scene.order(Act::Confirm(asked.deletion_id, name.clone()), n));
        if !scene.is_gone(user, n).await {
            // Whoever asked gets no answer, and asks again.
            let ctx = scene.app.ctx(&scene.shop).await;
            delete_user::confirm(&ctx, actor, asked.deletion_id, Some(&name)).await.unwrap();
        }
        scene.restart().await;
        scene.check_done(user, &name, n).await;
    }
    assert!(n > 20, "{n} statements");
}

/// Scheduled as a whole, with its event and its letter, or not at all.
async fn a_schedule_is_killed(engine: Engine) {
    let scene = Scene::new(engine).await;
    let admin = Deleting::new(&scene.app, &scene.shop).await;
    admin.settings(json!({"deletion_restore_days": 1, "deletion_mass_threshold": 1000})).await;
    let mut n = 0;
    let mut killed = true;
    while killed {
        n += 1;
        let (user, name) = scene.person(n).await;
        let ctx = scene.app.ctx(&scene.shop).await;
        let actor = &Actor::command_line();
        let asked = delete_user::request(&ctx, actor, user, REASON, Notify::default()).await.unwrap();
        killed = kill(&scene.order(Act::Confirm(asked.deletion_id, name.clone()), n));
        if !scene.is_scheduled(user, n).await {
            let ctx = scene.app.ctx(&scene.shop).await;
            delete_user::confirm(&ctx, actor, asked.deletion_id, Some(&name)).await.unwrap();
        }
        assert!(scene.is_scheduled(user, n).await);
        assert!(matches!(
            verify(&scene.app.app.db, scene.shop.project).await.unwrap(),
            Verdict::Whole { .. }
        ));
    }
    assert!(n > 15, "{n} statements");
}

async fn the_jobs_are_killed(engine: Engine) {
    let scene = Scene::new(engine).await;
    let admin = Deleting::new(&scene.app, &scene.shop).await;
    assert_ne!(admin.key, scene.admin);
    admin.settings(json!({"deletion_restore_days": 1, "deletion_mass_threshold": 1000})).await;
    let mut n = 0;
    let mut killed = true;
    while killed {
        n += 1;
        let (user, name) = scene.person(n).await;
        let asked = admin.post("delete-user", json!({"user": user, "reason": REASON})).await;
        let id = asked.body["deletion_id"].as_str().unwrap();
        assert_eq!(admin.confirm(id, &name).await.ok()["state"], "scheduled");
        // Only what belongs to the deletion is due when its day comes.
        scene.restart().await;
        scene.app.app.clock.advance(DAY);
        let later = scene.app.app.clock.now().plus_seconds(DAY);
        let others = |conn: Conn| async move {
            let sql = "UPDATE jobs SET next_run_at = $1 WHERE name NOT IN ('outbox', 'deletions')";
            tessera::execute!(&conn, sql, later)
        };
        assert!(scene.app.app.db.write(others).await.unwrap() > 3);
        killed = kill(&scene.order(Act::Jobs, n));
        scene.is_gone(user, n).await;
        // Leases of the dead lapse.
        scene.app.app.clock.advance(3600);
        scene.restart().await;
        scene.check_done(user, &name, n).await;
    }
    assert!(n > 30, "{n} statements");
}
