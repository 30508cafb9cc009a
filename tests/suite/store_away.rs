//! PostgreSQL goes away under load and comes back: 503 in the meantime, quickly and never anything else, no token called
//! good by memory alone, nothing lost that was answered; and right again afterwards without a restart of the server.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::support::process::{Server, run, settings_of};
use crate::support::{Absence, Caller, Cluster, Reply, Tokens};

/// One second for a connection, one for a statement: more than these and a busy machine's own time no answer may take.
const SETTINGS: [(&str, &str); 6] = [
    ("TESSERA__DATABASE__ACQUIRE_TIMEOUT_SECONDS", "1"),
    ("TESSERA__DATABASE__STATEMENT_TIMEOUT_SECONDS", "1"),
    ("TESSERA__DATABASE__LOCK_TIMEOUT_SECONDS", "1"),
    ("TESSERA__PASSWORDS__MEMORY_KIB", "7168"),
    ("TESSERA__PASSWORDS__ITERATIONS", "1"),
    ("TESSERA__LOG__FILTER", "tessera=info,warn"),
];
const LIMIT: Duration = Duration::from_secs(5);

/// Where the database is. What begins and ends in one phase must look like it.
const UP: usize = 0;
const AWAY: usize = 2;
/// It leaves or comes back: both answers are right.
const PHASES: usize = 4;

/// What a client has seen: answers while the database was there, and refusals while it was away.
type Seen = watch::Sender<(usize, usize)>;

#[derive(Clone)]
struct Visitor {
    caller: Caller,
    phase: Arc<AtomicUsize>,
    over: Arc<AtomicUsize>,
    seen: Seen,
}

impl Visitor {
    fn goes_on(&self) -> bool {
        self.over.load(Ordering::SeqCst) == 0
    }

    /// Asks once; `None` when the store was away.
    async fn ask_once(&self, call: impl Future<Output = Option<Reply>>) -> Option<Reply> {
        let before = self.phase.load(Ordering::SeqCst);
        let reply = tokio::time::timeout(LIMIT, call).await.expect("no answer in time");
        let reply = reply.expect("the connection was cut");
        let quiet = (before == self.phase.load(Ordering::SeqCst)).then_some(before % PHASES);
        if reply.status != 503 {
            assert_ne!(quiet, Some(AWAY), "answered without a database: {reply:?}");
            self.seen.send_modify(|(answered, _)| *answered += usize::from(quiet == Some(UP)));
            return Some(reply);
        }
        assert_ne!(quiet, Some(UP), "refused though the database is there: {reply:?}");
        says_unavailable(reply);
        self.seen.send_modify(|(_, refused)| *refused += usize::from(quiet == Some(AWAY)));
        None
    }

    /// Asks until there is an answer, and tells whether it was refused before.
    async fn ask<F: Future<Output = Option<Reply>>>(&self, call: impl Fn() -> F) -> (Reply, bool) {
        let mut refused = false;
        loop {
            match self.ask_once(call()).await {
                Some(reply) => return (reply, refused),
                None => refused = true,
            }
        }
    }

    /// Asks about a session that lives and one that is over.
    async fn look(self, living: Tokens, ended: Tokens) -> Vec<Tokens> {
        let (caller, living) = (&self.caller, living.get("access_token"));
        while self.goes_on() {
            if let Some(verdict) = self.ask_once(caller.verify(living)).await {
                assert_eq!(verdict.expect(200)["active"], true);
            }
            if let Some(verdict) = self.ask_once(caller.verify(ended.get("access_token"))).await {
                assert_eq!(verdict.expect(200)["reason"], "signed_out");
            }
            let claims = caller.bearer("userinfofromaccesstoken", living, json!({}));
            if let Some(claims) = self.ask_once(claims).await {
                assert!(claims.expect(200)["sub"].is_string());
            }
            if let Some(users) = self.ask_once(caller.admin(Method::GET, "/users", json!({}))).await {
                assert_eq!(users.expect(200)["items"].as_array().unwrap().len(), 5);
            }
            if let Some(health) = self.ask_once(caller.get("/health")).await {
                assert_eq!(health.expect(200), "ok\n");
            }
        }
        vec![ended]
    }

    /// Refreshes one session: whatever answer was lost, the token that it was about stays good.
    async fn stay(self, mut tokens: Tokens) -> Vec<Tokens> {
        let caller = &self.caller;
        while self.goes_on() {
            let (next, _) = self.ask(|| caller.refresh(tokens.get("refresh_token"))).await;
            tokens = Tokens(next.expect(200));
        }
        Vec::new()
    }

    /// Signs in and out, and gives the tokens of all sessions whose sign-out was acknowledged.
    async fn leave(self, cookie: String) -> Vec<Tokens> {
        let (caller, mut left) = (&self.caller, Vec::new());
        while self.goes_on() {
            let (back, _) = self.ask(|| caller.authorize(&cookie, "&prompt=none")).await;
            // Gone after client and redirect URI were proven: the client is told (RFC 6749, 4.1.2.1).
            if back.location.as_ref().is_some_and(|url| url.contains("error=temporarily_unavailable")) {
                continue;
            }
            let code = back.code();
            let (exchanged, refused) = self.ask(|| caller.exchange(&code)).await;
            // An exchange cannot be asked for again: the lost answer may have used the code up.
            if refused && exchanged.status == 400 {
                exchanged.refused("invalid_grant", "the code has been used already");
                continue;
            }
            let tokens = Tokens(exchanged.expect(200));
            let sign_out = || caller.bearer("GlobalSignOut", tokens.get("access_token"), json!({}));
            let (done, refused) = self.ask(sign_out).await;
            match refused && done.status == 401 {
                true => assert_eq!(done.body["reason"], "signed_out"),
                false => drop(done.expect(200)),
            }
            left.push(tokens);
        }
        left
    }
}

/// The one answer while the store is away; pages say it in words for people.
fn says_unavailable(mut reply: Reply) {
    assert_eq!(reply.retry_after.as_deref(), Some("1"));
    if let Some(page) = reply.body.as_str() {
        return assert!(page.contains("The service is busy. Please try again in a moment."), "{page}");
    }
    assert_eq!(reply.body["request_id"].take(), reply.request_id);
    let description = "the service is busy; try again shortly";
    let expected =
        json!({"error": "temporarily_unavailable", "error_description": description, "request_id": null});
    assert_eq!(reply.body, expected);
}

/// Every kind of request while there is no database: the same answer to all of them, and none that a cache could give.
async fn all_is_refused(caller: &Caller, tokens: &Tokens, cookie: &str) {
    let (access, dan) = (tokens.get("access_token"), json!({"username": "dan"}));
    let admin = |path| caller.admin(Method::GET, path, json!({}));
    let calls = [
        caller.verify(access).boxed(),
        caller.act("verifyaccesstoken", json!({"access_token": access})).boxed(),
        caller.bearer("userinfofromaccesstoken", access, json!({})).boxed(),
        caller.refresh(tokens.get("refresh_token")).boxed(),
        caller.exchange("tco_unknown").boxed(),
        caller.authorize(cookie, "&prompt=none").boxed(),
        caller.bearer("GlobalSignOut", access, json!({})).boxed(),
        caller.act("GlobalSignOut", json!({"user": dan})).boxed(),
        caller.act("attribute-update", json!({"user": dan, "set": {}})).boxed(),
        caller.act("delete-user", json!({"user": dan, "dry_run": true})).boxed(),
        caller.create_user("eve").boxed(),
        admin("/users").boxed(),
        admin("/audit").boxed(),
        caller.get("/health").boxed(),
    ];
    let replies = tokio::time::timeout(LIMIT, join_all(calls)).await.expect("no answer in time");
    for (number, reply) in replies.into_iter().enumerate() {
        let reply = reply.expect("the connection was cut");
        assert_eq!(reply.status, 503, "{number}: {reply:?}");
        says_unavailable(reply);
    }
}

/// The clients of one test, what they see, and where the database is.
struct Clients {
    tasks: JoinSet<Vec<Tokens>>,
    seen: Vec<watch::Receiver<(usize, usize)>>,
    phase: Arc<AtomicUsize>,
    over: Arc<AtomicUsize>,
}

impl Clients {
    /// Ann leaves once and stays the second time, Bea and Cid come and go.
    async fn begin(caller: &Caller, [ann, bea, cid]: [&String; 3]) -> Self {
        let ended = caller.tokens(ann).await.unwrap();
        caller.bearer("GlobalSignOut", ended.get("access_token"), json!({})).await.unwrap().expect(200);
        let (living, chained) = (caller.tokens(ann).await.unwrap(), caller.tokens(ann).await.unwrap());
        let (phase, over) = (Arc::new(AtomicUsize::new(UP)), Arc::default());
        let mut clients = Self { tasks: JoinSet::new(), seen: Vec::new(), phase, over };
        let look = clients.visitor(caller).look(living, ended);
        clients.tasks.spawn(look);
        let stay = clients.visitor(caller).stay(chained);
        clients.tasks.spawn(stay);
        for cookie in [bea, cid] {
            let leave = clients.visitor(caller).leave(cookie.clone());
            clients.tasks.spawn(leave);
        }
        clients
    }

    fn visitor(&mut self, caller: &Caller) -> Visitor {
        let seen = Seen::default();
        self.seen.push(seen.subscribe());
        Visitor { caller: caller.clone(), phase: self.phase.clone(), over: self.over.clone(), seen }
    }

    fn next_phase(&self) {
        self.phase.fetch_add(1, Ordering::SeqCst);
    }

    /// Waits until each has seen so much more of one kind; fails when one of them fails.
    async fn wait_for(&mut self, more: usize, kind: impl Fn(&(usize, usize)) -> usize + Copy) {
        for seen in &mut self.seen {
            let enough = kind(&seen.borrow()) + more;
            tokio::select! {
                Ok(_) = seen.wait_for(|seen| kind(seen) >= enough) => {}
                Some(early) = self.tasks.join_next() => panic!("a client ended early: {:?}", early.err()),
            }
        }
    }

    /// Gives the tokens of all sessions whose sign-out was acknowledged.
    async fn end(self) -> Vec<Tokens> {
        self.over.fetch_add(1, Ordering::SeqCst);
        self.tasks.join_all().await.into_iter().flatten().collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_away_and_comes_back() {
    let cluster = Cluster::new();
    let mut app = cluster.app().await;
    let shop = app.shop("shop", "confidential").await;
    let key = app.admin_key(Some(shop.project), "admin").await;
    app.app.db.close().await;
    let server = Server::serve(&mut app, &SETTINGS);
    let caller = Caller::new(&app, &shop, &key);
    let mut cookies = Vec::new();
    for name in ["ann", "bea", "cid", "dan"] {
        caller.create_user(name).await.unwrap().expect(201);
        cookies.push(caller.sign_in(name).await.unwrap());
    }
    let [ann, bea, cid, dan]: [&String; 4] = cookies.iter().collect::<Vec<_>>().try_into().unwrap();
    let mut kept = caller.tokens(dan).await.unwrap();
    let mut clients = Clients::begin(&caller, [ann, bea, cid]).await;
    for absence in [Absence::Fast, Absence::Immediate, Absence::Frozen] {
        clients.wait_for(10, |seen| seen.0).await;
        clients.next_phase();
        cluster.leave(absence);
        clients.next_phase();
        clients.wait_for(2, |seen| seen.1).await;
        all_is_refused(&caller, &kept, dan).await;
        clients.next_phase();
        cluster.come_back(absence);
        clients.next_phase();
        // What was refused has not happened.
        assert_eq!(caller.verify(kept.get("access_token")).await.unwrap().expect(200)["active"], true);
        kept = Tokens(caller.refresh(kept.get("refresh_token")).await.unwrap().expect(200));
    }
    clients.wait_for(10, |seen| seen.0).await;
    let left = clients.end().await;
    assert!(left.len() > 10, "{}", left.len());
    for tokens in left {
        let verdict = caller.verify(tokens.get("access_token")).await.unwrap().expect(200);
        assert_eq!(verdict["reason"], "signed_out");
        let refused = caller.refresh(tokens.get("refresh_token")).await.unwrap();
        refused.refused("invalid_grant", "the session has ended: signed_out");
    }
    let verified = run(&["audit", "verify"], &settings_of(&app), "");
    assert_eq!(verified.code, Some(0), "{}", verified.out);
    let (status, log) = server.stop();
    assert_eq!(status.code(), Some(0), "{log:#?}");
    let panics: Vec<&String> = log.iter().filter(|line| line.contains("panic")).collect();
    assert!(panics.is_empty(), "{panics:#?}");
}
