//! The clients of a server whose database comes and goes: each answer is judged by where the database was meanwhile.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::support::{Caller, Reply, Tokens};

/// More than a call of the store may take and a busy machine's own time.
pub const LIMIT: Duration = Duration::from_secs(5);

/// Where the database is: there, leaving, away, coming back, and so on. What begins and ends while it is there, or while it
/// is away, must look like it; in between both answers are right.
const PHASES: usize = 4;
const UP: usize = 0;
const AWAY: usize = 2;

/// What a client has seen: answers while the database was there, and refusals while it was away.
type Seen = watch::Sender<(usize, usize)>;

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
                assert_eq!(exchanged.body["error"], "invalid_grant");
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
pub fn says_unavailable(mut reply: Reply) {
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

/// The clients of one test, what they see, and where the database is.
pub struct Clients {
    tasks: JoinSet<Vec<Tokens>>,
    seen: Vec<watch::Receiver<(usize, usize)>>,
    phase: Arc<AtomicUsize>,
    over: Arc<AtomicUsize>,
}

impl Clients {
    /// Ann leaves once and stays the second time, Bea and Cid come and go.
    pub async fn begin(caller: &Caller, [ann, bea, cid]: [&String; 3]) -> Self {
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

    pub fn next_phase(&self) {
        self.phase.fetch_add(1, Ordering::SeqCst);
    }

    /// Waits until each has seen so much more of one kind; fails when one of them fails.
    pub async fn wait_for(&mut self, more: usize, kind: impl Fn(&(usize, usize)) -> usize + Copy) {
        for seen in &mut self.seen {
            let enough = kind(&seen.borrow()) + more;
            tokio::select! {
                Ok(_) = seen.wait_for(|seen| kind(seen) >= enough) => {}
                Some(early) = self.tasks.join_next() => panic!("a client ended early: {:?}", early.err()),
            }
        }
    }

    /// Gives the tokens of all sessions whose sign-out was acknowledged.
    pub async fn end(self) -> Vec<Tokens> {
        self.over.fetch_add(1, Ordering::SeqCst);
        self.tasks.join_all().await.into_iter().flatten().collect()
    }
}
