//! The end of the server in the middle of load. After `kill -9` whatever was acknowledged is there when it is back, and
//! what was cut off is there as a whole or not at all; after SIGTERM nothing was cut off.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tessera::clock::Clock;

use crate::crash_support::{Notes, People, Work, people};
use crate::support::process::{Server, master_key, run, settings_of, tessera};
use crate::support::{Caller, Database, Engine, Shop, TestApp, Tokens, both_engines};

both_engines!(
    what_was_acknowledged_survives_a_kill,
    what_a_shutdown_has_accepted_is_answered,
    a_start_that_was_killed_is_repeated,
);

/// After how many acknowledged acts the server is killed, each time on the same store.
const KILL_AFTER: [usize; 4] = [1, 30, 75, 120];

async fn what_was_acknowledged_survives_a_kill(engine: Engine) {
    let mut scene = Scene::new(engine).await;
    let mut server = scene.serve();
    let people = people(&scene.caller()).await;
    for (round, count) in KILL_AFTER.into_iter().enumerate() {
        let mut work = Work::begin(scene.caller(), round, &scene.notes, &people);
        work.wait_for(count).await;
        server.kill();
        work.end().await;
        server = scene.serve();
        scene.check(&people).await;
    }
}

async fn what_a_shutdown_has_accepted_is_answered(engine: Engine) {
    let mut scene = Scene::new(engine).await;
    let mut server = scene.serve();
    let people = people(&scene.caller()).await;
    for (round, count) in [10, 40].into_iter().enumerate() {
        let mut work = Work::begin(scene.caller(), round, &scene.notes, &people);
        work.wait_for(count).await;
        let (status, log) = server.stop();
        assert_eq!(status.code(), Some(0), "{log:#?}");
        work.end().await;
        server = scene.serve();
        let unheard = scene.check(&people).await;
        assert_eq!(unheard, 0, "done, and not answered");
    }
}

/// Whichever step was the last one on the way to an empty store's first answer, the next start goes on from there.
async fn a_start_that_was_killed_is_repeated(engine: Engine) {
    let database = Database::new(engine).await;
    let settings = [
        ("DATABASE_URL", database.url.clone()),
        ("TESSERA__MASTER_KEY", master_key()),
        ("TESSERA__LISTEN", "127.0.0.1:0".into()),
        // Its lines are the steps.
        ("TESSERA__LOG__FILTER", "trace".into()),
    ];
    for steps in [1, 2, 3, 5, 8, 13, 21, 34, 55, 89] {
        let mut starting = tessera(&["serve"], &settings).spawn().unwrap();
        let log = BufReader::new(starting.stderr.take().unwrap()).lines();
        let _last = log.take(steps).map(Result::unwrap).find(|line| line.contains("listening"));
        starting.kill().unwrap();
        starting.wait().unwrap();
    }
    let (status, log) = Server::start(&["serve"], &settings).stop();
    assert_eq!(status.code(), Some(0), "{log:#?}");
    let checked = run(&["migrate", "--check"], &settings, "");
    assert_eq!((checked.code, checked.out.as_str()), (Some(0), "the schema is up to date\n"));
}

/// A store and a server over it that may end and begin again.
struct Scene {
    app: TestApp,
    shop: Shop,
    key: String,
    directory: TempDir,
    notes: Arc<Mutex<Notes>>,
}

impl Scene {
    async fn new(engine: Engine) -> Self {
        let app = TestApp::changed(engine, |app| app.clock = Clock::System).await;
        let shop = app.shop("shop", "confidential").await;
        let key = app.admin_key(Some(shop.project), "admin").await;
        // Nobody but the server holds the store open, so that what it leaves behind has to be recovered.
        app.app.db.close().await;
        Self { app, shop, key, directory: TempDir::new().unwrap(), notes: Arc::default() }
    }

    fn ledger(&self) -> PathBuf {
        self.directory.path().join("ledger")
    }

    fn serve(&mut self) -> Server {
        let ledger = self.ledger();
        let settings = [
            ("TESSERA__ERASURE_LEDGER", ledger.to_str().unwrap()),
            ("TESSERA__PASSWORDS__MEMORY_KIB", "7168"),
            ("TESSERA__PASSWORDS__ITERATIONS", "1"),
        ];
        Server::serve(&mut self.app, &settings)
    }

    fn caller(&self) -> Caller {
        Caller::new(&self.app, &self.shop, &self.key)
    }

    /// Compares the store with everything that was ever told; gives the number of acts that nobody was told of.
    async fn check(&self, people: &People) -> usize {
        let (caller, mut notes) = (self.caller(), std::mem::take(&mut *self.notes.lock().unwrap()));
        check_people(&caller, &mut notes).await;
        let unheard = check_numbers(&caller, &notes, &people.noted).await;
        let events = events(&caller).await;
        check_events(&notes, &events);
        let verified = run(&["audit", "verify", "--project", "shop"], &settings_of(&self.app), "");
        assert_eq!(verified.out, format!("shop: whole, {} events\n", events.len()), "{}", verified.err);
        check_ledger(&self.ledger(), &notes).await;
        let unheard = unheard + notes.unheard_sign_outs + notes.unheard_deletions;
        *self.notes.lock().unwrap() = notes;
        unheard
    }
}

/// Sessions that were ended are over, people who were deleted are gone, and nobody else is signed out.
async fn check_people(caller: &Caller, notes: &mut Notes) {
    // The next answer was lost, or there was none: the last token that came is good in either case, for a while.
    for tokens in notes.living.drain(..) {
        let next = caller.refresh(tokens.get("refresh_token")).await.unwrap().expect(200);
        for token in [tokens.get("access_token"), next["access_token"].as_str().unwrap()] {
            assert_eq!(caller.verify(token).await.unwrap().expect(200)["active"], true);
        }
    }
    for left in notes.signed_out.chunks(8) {
        join_all(left.iter().map(|tokens| is_over(caller, tokens, "signed_out"))).await;
    }
    for deleted in &notes.deleted {
        is_over(caller, &deleted.tokens, "user_deleted").await;
        let user = format!("/users/{}", deleted.user);
        caller.admin(Method::GET, &user, json!({})).await.unwrap().expect(404);
        let shown = caller.deletion(&deleted.deletion).await.unwrap().expect(200);
        assert_eq!((&shown["state"], &shown["user"]), (&json!("executed"), &json!(deleted.user)));
    }
    for tokens in notes.cut.drain(..) {
        let verdict = caller.verify(tokens.get("access_token")).await.unwrap().expect(200);
        match verdict["reason"].as_str() {
            Some("signed_out") => notes.unheard_sign_outs += 1,
            Some("user_deleted") => notes.unheard_deletions += 1,
            _ => assert_eq!(verdict["active"], true, "{verdict}"),
        }
    }
}

async fn is_over(caller: &Caller, tokens: &Tokens, reason: &str) {
    let verdict = caller.verify(tokens.get("access_token")).await.unwrap().expect(200);
    assert_eq!((&verdict["active"], &verdict["reason"]), (&json!(false), &json!(reason)));
    let description = match reason {
        // Its family is gone with the user.
        "user_deleted" => "the refresh token is not valid".to_owned(),
        reason => format!("the session has ended: {reason}"),
    };
    caller.refresh(tokens.get("refresh_token")).await.unwrap().refused("invalid_grant", &description);
}

/// What was last acknowledged stands there, or what was sent after it; gives how often it is the latter.
async fn check_numbers(caller: &Caller, notes: &Notes, user: &str) -> usize {
    let mut unheard = 0;
    let user = caller.admin(Method::GET, &format!("/users/{user}"), json!({})).await.unwrap().expect(200);
    for (name, sent) in &notes.sent {
        let value = if *name == "note" { &user["attributes"]["note"] } else { &user[name] };
        let number = value.as_str().map(|text| text.parse().unwrap());
        let written = notes.written.get(name).copied();
        assert!(number == written || number == Some(*sent), "{name}: {number:?}, not {written:?} or {sent}");
        unheard += usize::from(number != written);
    }
    unheard
}

/// The whole audit log: the request and the action of each event.
async fn events(caller: &Caller) -> Vec<(String, String)> {
    let (mut events, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/audit?order=asc&limit=200{after}");
        let page = caller.admin(Method::GET, &path, json!({})).await.unwrap().expect(200);
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let items = page["items"].as_array().unwrap();
        events.extend(items.iter().map(|event| (text(&event["request_id"]), text(&event["action"]))));
        let Some(next) = page["next"].as_str() else { return events };
        after = format!("&after={next}");
    }
}

/// Every act has one event, and there is none without its act.
fn check_events(notes: &Notes, events: &[(String, String)]) {
    let mut times = BTreeMap::<(&str, &str), u32>::new();
    events.iter().for_each(|(request, action)| *times.entry((request, action)).or_default() += 1);
    for (request, action) in &notes.acts {
        assert_eq!(times.get(&(request.as_str(), *action)), Some(&1), "{action}");
    }
    let number = |name: &str| events.iter().filter(|(_, action)| action == name).count();
    assert_eq!(number("user.signed_out"), notes.signed_out.len() + notes.unheard_sign_outs);
    assert_eq!(number("user.deleted"), notes.deleted.len() + notes.unheard_deletions);
}

/// One line for each deletion. The file may lag, but not for long.
async fn check_ledger(file: &Path, notes: &Notes) {
    let expected = notes.deleted.len() + notes.unheard_deletions;
    let begun = Instant::now();
    let text = loop {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        if text.lines().count() >= expected {
            break text;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{expected} deletions:\n{text}");
        tokio::task::yield_now().await;
    };
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split(' ').collect()).collect();
    assert_eq!(lines.len(), expected, "{text}");
    for deleted in &notes.deleted {
        let whose = |line: &&Vec<&str>| line[4..6] == [deleted.user.as_str(), deleted.deletion.as_str()];
        assert_eq!(lines.iter().filter(whose).count(), 1, "{text}");
    }
}
