//! The clients of the crash: what they do, and what they have been told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use reqwest::Method;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::support::{Caller, REASON, Reply, Tokens};

/// What the clients of one or more rounds have been told.
#[derive(Default)]
pub struct Notes {
    /// Request id and action of every act that has to have its audit event.
    pub acts: Vec<(String, &'static str)>,
    pub signed_out: Vec<Tokens>,
    pub deleted: Vec<Deleted>,
    /// Sessions that nobody ended, as last told.
    pub living: Vec<Tokens>,
    /// What the admin wrote last, and knows to be written, by the name of the field.
    pub sent: BTreeMap<&'static str, usize>,
    pub written: BTreeMap<&'static str, usize>,
    /// Sign-outs and deletions that the crash cut off, for the tokens that they would have ended.
    pub cut: Vec<Tokens>,
    /// How many of those took effect all the same.
    pub unheard_sign_outs: usize,
    pub unheard_deletions: usize,
}

pub struct Deleted {
    pub user: String,
    pub deletion: String,
    pub tokens: Tokens,
}

#[derive(Clone)]
struct Load {
    caller: Caller,
    round: usize,
    notes: Arc<Mutex<Notes>>,
    acknowledged: watch::Sender<usize>,
}

impl Load {
    /// Writes down an acknowledged act.
    fn acted(&self, reply: &Reply, action: &'static str, note: impl FnOnce(&mut Notes)) {
        assert!((200..300).contains(&reply.status), "{action}: {} {}", reply.status, reply.body);
        let mut notes = self.notes.lock().unwrap();
        notes.acts.push((reply.request_id.clone(), action));
        note(&mut notes);
        self.acknowledged.send_modify(|count| *count += 1);
    }

    fn note(&self, note: impl FnOnce(&mut Notes)) {
        note(&mut self.notes.lock().unwrap());
    }

    /// Signs in, refreshes and signs out, for ever.
    async fn leave(self, cookie: String) -> Option<()> {
        loop {
            let tokens = self.caller.tokens(&cookie).await?;
            let tokens = Tokens(self.caller.refresh(tokens.get("refresh_token")).await?.expect(200));
            let left = self.caller.bearer("GlobalSignOut", tokens.get("access_token"), json!({})).await;
            let Some(left) = left else {
                self.note(|notes| notes.cut.push(tokens));
                return None;
            };
            self.acted(&left, "user.signed_out", |notes| notes.signed_out.push(tokens));
        }
    }

    /// Refreshes one session until nobody answers, and notes the last tokens that came.
    async fn stay(self, cookie: String) -> Option<()> {
        let mut tokens = self.caller.tokens(&cookie).await?;
        while let Some(next) = self.caller.refresh(tokens.get("refresh_token")).await {
            tokens = Tokens(next.expect(200));
        }
        self.note(|notes| notes.living.push(tokens));
        None
    }

    /// Makes users, signs them in and deletes them.
    async fn delete(self, who: &'static str) -> Option<()> {
        for number in 0.. {
            let name = format!("{who}-{}-{number}", self.round);
            let made = self.caller.create_user(&name).await?;
            self.acted(&made, "user.created", |_| ());
            let user = made.body["id"].as_str().unwrap();
            let tokens = self.caller.tokens(&self.caller.sign_in(&name).await?).await?;
            let mut body = json!({"user": user, "reason": REASON, "dry_run": true});
            assert_eq!(
                self.caller.act("delete-user", body.clone()).await?.expect(200)["impact"]["families"],
                1
            );
            body["dry_run"] = json!(false);
            let asked = self.caller.act("delete-user", body).await?;
            self.acted(&asked, "user.deletion_requested", |_| ());
            let deletion = asked.body["deletion_id"].as_str().unwrap().to_owned();
            let body = json!({"deletion_id": deletion, "confirmation": name});
            let Some(done) = self.caller.act("delete-user/confirm", body).await else {
                self.note(|notes| notes.cut.push(tokens));
                return None;
            };
            assert_eq!(done.body["state"], "executed");
            let deleted = Deleted { user: user.to_owned(), deletion, tokens };
            self.acted(&done, "user.deleted", |notes| notes.deleted.push(deleted));
        }
        None
    }

    /// Writes ever higher numbers.
    async fn administer(self, user: String) -> Option<()> {
        let place = format!("/users/{user}");
        for number in self.round * 1_000_000.. {
            let text = number.to_string();
            self.note(|notes| _ = notes.sent.insert("note", number));
            let noted =
                self.caller.act("attribute-update", json!({"user": user, "set": {"note": text}})).await?;
            self.acted(&noted, "user.attributes_changed", |notes| _ = notes.written.insert("note", number));
            self.note(|notes| _ = notes.sent.insert("nickname", number));
            let named = self.caller.admin(Method::PATCH, &place, json!({"nickname": text})).await?;
            self.acted(&named, "user.updated", |notes| _ = notes.written.insert("nickname", number));
        }
        None
    }
}

/// People who are there in every round, by the cookies of their browsers.
pub struct People {
    pub leaving: Vec<String>,
    pub staying: Vec<String>,
    pub noted: String,
}

pub async fn people(caller: &Caller) -> People {
    let definition = json!({"name": "note", "type": "string"});
    caller.admin(Method::POST, "/attribute-definitions", definition).await.unwrap().expect(201);
    let mut cookies = Vec::new();
    for name in ["ann", "bea", "cid", "dan", "eve"] {
        caller.create_user(name).await.unwrap().expect(201);
        cookies.push(caller.sign_in(name).await.unwrap());
    }
    let noted = caller.create_user("noted").await.unwrap().expect(201)["id"].as_str().unwrap().to_owned();
    People { staying: cookies.split_off(3), leaving: cookies, noted }
}

/// The clients of one round, at work.
pub struct Work {
    clients: JoinSet<Option<()>>,
    acknowledged: watch::Receiver<usize>,
}

impl Work {
    /// All begin at once, and each goes on until it gets no answer.
    pub fn begin(caller: Caller, round: usize, notes: &Arc<Mutex<Notes>>, people: &People) -> Self {
        let acknowledged = watch::Sender::default();
        let work = acknowledged.subscribe();
        let load = Load { caller, round, notes: notes.clone(), acknowledged };
        let mut clients = JoinSet::new();
        for cookie in &people.leaving {
            clients.spawn(load.clone().leave(cookie.clone()));
        }
        for cookie in &people.staying {
            clients.spawn(load.clone().stay(cookie.clone()));
        }
        for who in ["kim", "lea"] {
            clients.spawn(load.clone().delete(who));
        }
        clients.spawn(load.administer(people.noted.clone()));
        Self { clients, acknowledged: work }
    }

    /// Waits for so many acknowledged acts.
    pub async fn wait_for(&mut self, count: usize) {
        tokio::select! {
            reached = self.acknowledged.wait_for(|reached| *reached >= count) => drop(reached.unwrap()),
            // As long as there is a server, this is one that fails.
            Some(early) = self.clients.join_next() => panic!("a client ended early: {early:?}"),
        }
    }

    /// Waits until all have noticed that nobody answers.
    pub async fn end(self) {
        self.clients.join_all().await;
    }
}
