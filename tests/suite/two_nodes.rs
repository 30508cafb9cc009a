//! Two nodes over one store, in as many rounds as fit: a person signs in, and clients exchange, refresh and verify, at
//! both nodes at the same time, while somebody ends it all. Once that has returned, neither node accepts anything that was
//! granted before it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use tessera::audit::{Verdict, verify};
use tessera::projects;
use tessera::secret::Secret;

use crate::support::{
    End, Engine, Granted, PASSWORD, Shop, TestApp, Tokens, both_engines, code_unless_overtaken, cookie_of,
    number, silent_code,
};

both_engines!(a_sign_out, a_sign_out_of_browsers, a_disable, a_deletion, a_reset);

async fn a_sign_out(engine: Engine) {
    rounds(engine, End::SignOut).await;
}

async fn a_sign_out_of_browsers(engine: Engine) {
    rounds(engine, End::SignOutOfBrowsers).await;
}

async fn a_disable(engine: Engine) {
    rounds(engine, End::Disable).await;
}

async fn a_deletion(engine: Engine) {
    rounds(engine, End::Delete).await;
}

async fn a_reset(engine: Engine) {
    rounds(engine, End::Reset).await;
}

/// Two nodes and one person, in one round.
struct Round<'a> {
    nodes: [&'a TestApp; 2],
    shop: &'a Shop,
    end: End,
    password: &'a str,
    number: usize,
    /// Answers so far, by which those who wait know that the others are at work.
    answers: AtomicUsize,
    /// The end was asked for.
    begun: AtomicBool,
    /// The end has returned, or one of the nodes has refused what it ends. From then on both do.
    over: AtomicBool,
    granted: Mutex<Granted>,
}

async fn rounds(engine: Engine, end: End) {
    let (time, least) = match engine {
        Engine::Sqlite => (Duration::from_secs(5), 5),
        Engine::Postgres => (Duration::from_secs(15), 15),
    };
    let app = TestApp::new(engine).await;
    let node = app.second_node().await;
    let (mut shop, key) = (app.shop("shop", "confidential").await, app.key(None, "owner").await);
    let mut password = PASSWORD.to_owned();
    let begun = Instant::now();
    let mut done = 0;
    while begun.elapsed() < time || done < least {
        let nodes = if done % 2 == 0 { [&app, &node] } else { [&node, &app] };
        Round::new(nodes, &shop, end, &password, done).run(&key).await;
        password = end.password_after(&password, done);
        // Until the failures of this round are forgotten, however many rounds there are.
        app.app.clock.advance(3601);
        if end == End::Delete {
            let secret = Secret::new(password.as_str());
            shop.user = projects::create_user(&app.app, shop.project, "alice", None, secret).await.unwrap();
        }
        done += 1;
    }
    assert!(matches!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { .. }));
    if let Engine::Postgres = engine {
        // Rows are locked in one order.
        let deadlocks = "SELECT deadlocks AS n FROM pg_stat_database WHERE datname = current_database()";
        assert_eq!(number(&app.app.db, deadlocks).await, 0);
    }
}

impl<'a> Round<'a> {
    fn new(nodes: [&'a TestApp; 2], shop: &'a Shop, end: End, password: &'a str, number: usize) -> Self {
        Self {
            nodes,
            shop,
            end,
            password,
            number,
            answers: AtomicUsize::new(0),
            begun: AtomicBool::new(false),
            over: AtomicBool::new(false),
            granted: Mutex::default(),
        }
    }

    async fn run(&self, key: &str) {
        let [here, there] = self.nodes;
        let (code, cookie) = self.sign_in(here).await.expect("nothing has ended yet");
        self.keep(|granted| granted.cookies.push(cookie.clone()));
        let mut families = vec![self.exchanged(there, &code).await.unwrap()];
        for node in self.nodes {
            let code = self.silent(node, &cookie).await.unwrap();
            families.push(self.exchanged(node, &code).await.unwrap());
        }
        let mut codes = Vec::new();
        for n in 0..6 {
            codes.push(self.silent(self.nodes[n % 2], &cookie).await.unwrap());
        }
        let [judged, first, second] = &families[..] else { panic!("three families") };
        let judging = join_all(self.nodes.map(|node| self.judge(node, judged)));
        let refreshing = join(self.refresh_on(0, first), self.refresh_on(1, second));
        let exchanging = join_all(codes.iter().enumerate().map(|(n, code)| self.exchange_late(n, code)));
        let resuming = join_all(self.nodes.map(|node| self.resume(node, &cookie)));
        let signing_in = join_all(self.nodes.map(|node| self.sign_in_again(node)));
        let ending = self.end(here, key, judged);
        tokio::join!(judging, refreshing, exchanging, resuming, signing_in, ending);
        let granted = std::mem::take(&mut *self.granted.lock().unwrap());
        assert!(granted.access.len() >= 3 && !granted.cookies.is_empty());
        for node in self.nodes {
            granted.check_ended(node, self.shop, self.end).await;
        }
        if self.end == End::Disable {
            End::enable(there, self.shop, key).await;
            for node in self.nodes {
                granted.check_enabled(node, self.shop).await;
            }
        }
    }

    fn is_over(&self) -> bool {
        self.over.load(SeqCst)
    }

    /// Nothing is refused before somebody has asked for the end.
    fn is_refused(&self) {
        assert!(self.begun.load(SeqCst), "{:?}: refused before it was asked for", self.end);
    }

    fn keep(&self, keep: impl FnOnce(&mut Granted)) {
        keep(&mut self.granted.lock().unwrap());
    }

    fn keep_tokens(&self, tokens: &Tokens) {
        let text = |name| tokens.get(name).to_owned();
        self.keep(|granted| {
            granted.access.push(text("access_token"));
            granted.refresh.push(text("refresh_token"));
        });
    }

    async fn until_answers(&self, number: usize) {
        while self.answers.load(SeqCst) < number && !self.is_over() {
            tokio::task::yield_now().await;
        }
    }

    /// Ends everything, at another moment in each round.
    async fn end(&self, node: &TestApp, key: &str, tokens: &Tokens) {
        self.until_answers(self.number * 7 % 40).await;
        self.begun.store(true, SeqCst);
        let by_token = (self.number / 2).is_multiple_of(2).then(|| tokens.get("access_token"));
        self.end.carry_out(node, self.shop, key, by_token, self.number).await;
        self.over.store(true, SeqCst);
    }

    /// Verifies one token without end. Once a node has refused it, no node takes it.
    async fn judge(&self, node: &TestApp, tokens: &Tokens) {
        loop {
            let over = self.is_over();
            let verdict = node.verify(self.shop, tokens.get("access_token")).await;
            self.answers.fetch_add(1, SeqCst);
            if verdict["active"] == true {
                assert!(!over, "{:?}: taken after it had ended", self.end);
                continue;
            }
            assert_eq!(verdict["reason"], self.end.reason());
            self.is_refused();
            self.over.store(true, SeqCst);
            if over {
                return;
            }
        }
    }

    /// Refreshes at one node after the other.
    async fn refresh_on(&self, start: usize, tokens: &Tokens) {
        let mut token = tokens.get("refresh_token").to_owned();
        for n in start.. {
            let over = self.is_over();
            let answer = self.nodes[n % 2].refresh(self.shop, &token).await;
            self.answers.fetch_add(1, SeqCst);
            if answer.status != 200 {
                self.is_refused();
                return self.end.refuses_refresh(answer);
            }
            assert!(!over, "{:?}: refreshed after it had ended", self.end);
            let tokens = Tokens(answer.body);
            tokens.get("refresh_token").clone_into(&mut token);
            self.keep_tokens(&tokens);
        }
    }

    /// Exchanges a code when some answers have come.
    async fn exchange_late(&self, number: usize, code: &str) {
        self.until_answers(number * 6).await;
        let over = self.is_over();
        let granted = self.exchanged(self.nodes[number % 2], code).await;
        assert!(!over || granted.is_none(), "{:?}: exchanged after it had ended", self.end);
    }

    async fn exchanged(&self, node: &TestApp, code: &str) -> Option<Tokens> {
        let answer = node.exchange(self.shop, code).await;
        self.answers.fetch_add(1, SeqCst);
        if answer.status != 200 {
            self.keep(|granted| granted.codes.push(code.to_owned()));
            self.is_refused();
            self.end.refuses_code(answer);
            return None;
        }
        let tokens = Tokens(answer.body);
        self.keep_tokens(&tokens);
        Some(tokens)
    }

    /// The hosted cookie gives codes, which are kept. After a sign-out that leaves the browsers alone it goes on to do so, so
    /// what came while that was under way may live.
    async fn resume(&self, node: &TestApp, cookie: &str) {
        loop {
            let over = self.is_over();
            let code = self.silent(node, cookie).await;
            let ends = self.end.ends_browsers() || !self.begun.load(SeqCst);
            match code {
                Some(code) if ends => {
                    assert!(!over, "{:?}: a code from a cookie that had ended", self.end);
                    self.keep(|granted| granted.codes.push(code));
                }
                Some(_) => return,
                None => return self.is_refused(),
            }
        }
    }

    async fn silent(&self, node: &TestApp, cookie: &str) -> Option<String> {
        let code = silent_code(node, self.shop, cookie).await;
        self.answers.fetch_add(1, SeqCst);
        code
    }

    /// Signs in with the password from before, until that is refused or proves nothing any more.
    async fn sign_in_again(&self, node: &TestApp) {
        loop {
            let over = self.is_over();
            let signed_in = self.sign_in(node).await;
            let ends = self.end.ends_sign_ins() || !self.begun.load(SeqCst);
            match signed_in {
                Some((code, cookie)) if ends => {
                    assert!(!over, "{:?}: signed in after it had ended", self.end);
                    self.keep(|granted| {
                        granted.codes.push(code);
                        // A sign-out leaves the cookie.
                        granted.cookies.push(cookie);
                    });
                }
                Some(_) => return,
                None => return self.is_refused(),
            }
        }
    }

    /// A code and a cookie for the password; `None` when that is refused.
    async fn sign_in(&self, node: &TestApp) -> Option<(String, String)> {
        let (cookie, sealed) = node.sign_in_page(self.shop, "&scope=openid+profile").await;
        let answer = node.submit(self.shop, &cookie, &sealed, self.password).await;
        self.answers.fetch_add(1, SeqCst);
        match answer.status().as_u16() {
            303 => code_unless_overtaken(&answer).map(|code| (code, cookie_of(&answer))),
            400 => None,
            other => panic!("{other}"),
        }
    }
}
