//! Mail as people read it: what a node would have sent lies in a directory, and each letter may hold a link.

use reqwest::{Response, StatusCode};
use serde_json::json;
use tempfile::TempDir;
use tessera::app::{App, Ctx, Visit};
use tessera::mail::files::{self, Kept};
use tessera::mail::{Letter, Letterhead, Mailer, Message, Order, Words, compose};

use super::{Desk, Engine, Seen, Shop, TestApp, cookie_of, sealed_of};

pub const NEW_PASSWORD: &str = "violet stapler harbour";

/// Where the letters of a node lie.
pub struct Mailbox(TempDir);

impl TestApp {
    /// A node that keeps its letters.
    pub async fn with_mailbox(engine: Engine) -> (Self, Mailbox) {
        Self::with_mailbox_changed(engine, |_| ()).await
    }

    pub async fn with_mailbox_changed(engine: Engine, change: impl FnOnce(&mut App)) -> (Self, Mailbox) {
        let mailbox = Mailbox(tempfile::tempdir().unwrap());
        let directory = mailbox.0.path().to_owned();
        let app = Self::changed(engine, |app| {
            app.mailer = Mailer::Files(directory);
            change(app);
        })
        .await;
        (app, mailbox)
    }

    /// A request's view of the project, for decisions that have no page yet.
    pub async fn ctx(&self, shop: &Shop) -> Ctx {
        Visit::of_nobody(&self.app, &shop.slug, self.app.clock.now()).current().await.unwrap()
    }

    /// Says that alice's address is hers.
    pub async fn verify_alice(&self, shop: &Shop) -> Desk<'_> {
        let desk = self.desk(shop, "admin").await;
        let verified = desk.patch(&format!("/users/{}", shop.user), json!({"email_verified": true})).await;
        assert_eq!(verified.status, 200, "{}", verified.body);
        desk
    }

    /// A page with a form: the browser's cookie, the sealed request, and the page.
    pub async fn open_form(&self, url: &str, cookie: Option<&str>) -> (String, String, Seen) {
        let mut request = self.http.get(url);
        if let Some(cookie) = cookie {
            request = request.header("cookie", cookie);
        }
        let response = request.send().await.unwrap();
        let cookie = cookie_of(&response);
        let seen = Seen::of(response).await;
        assert_eq!(seen.status, 200, "{}", seen.text);
        let sealed = sealed_of(&seen.text);
        (cookie, sealed, seen)
    }

    pub async fn post_form(
        &self,
        url: &str,
        (cookie, sealed): (&str, &str),
        fields: &[(&str, &str)],
    ) -> Response {
        let mut all = vec![("request", sealed)];
        all.extend_from_slice(fields);
        let url = url.split('?').next().unwrap();
        self.http.post(url).header("cookie", cookie).form(&all).send().await.unwrap()
    }

    /// Follows a link and posts its form.
    pub async fn follow_link(&self, link: &str, fields: &[(&str, &str)]) -> Seen {
        let (cookie, sealed, _) = self.open_form(link, None).await;
        Seen::of(self.post_form(link, (&cookie, &sealed), fields).await).await
    }

    /// Asks for a new password, as a browser of its own.
    pub async fn forget(&self, shop: &Shop, who: &str) -> Seen {
        let url = self.project_url(shop, "/forgotten-password");
        let (cookie, sealed, _) = self.open_form(&url, None).await;
        Seen::of(self.post_form(&url, (&cookie, &sealed), &[("who", who)]).await).await
    }

    pub async fn signs_in(&self, shop: &Shop, who: (&str, &str)) -> bool {
        let (cookie, sealed) = self.sign_in_page(shop, "").await;
        self.submit_as(shop, &cookie, &sealed, who).await.status() == StatusCode::SEE_OTHER
    }
}

impl Mailbox {
    /// What has been written since the last look, in no order that matters.
    pub async fn take(&self, app: &TestApp) -> Vec<Kept> {
        app.app.clock.advance(5);
        for outcome in tessera::jobs::run_due(&app.app).await.unwrap() {
            assert!(outcome.text.starts_with("ok: "), "{outcome:?}");
        }
        let letters = files::list(self.0.path()).await.unwrap();
        for letter in &letters {
            std::fs::remove_file(self.0.path().join(format!("{}.txt", letter.id))).unwrap();
        }
        letters
    }

    /// The one letter that has been written, which goes to this address.
    pub async fn one(&self, app: &TestApp, to: &str) -> Kept {
        let mut letters = self.take(app).await;
        let told: Vec<_> = letters.iter().map(|letter| (&letter.to, &letter.subject)).collect();
        assert_eq!(letters.len(), 1, "{told:?}");
        let letter = letters.remove(0);
        assert_eq!(letter.to, to, "{}", letter.subject);
        letter
    }
}

/// The link of a letter, which leads to this server and nowhere else.
pub fn link_of(app: &TestApp, letter: &Kept) -> String {
    let links: Vec<_> = letter.text.split_whitespace().filter(|word| word.contains("://")).collect();
    assert_eq!(links.len(), 1, "{}", letter.text);
    assert!(links[0].starts_with(&format!("{}/projects/", app.base)), "{}", links[0]);
    links[0].to_owned()
}

/// A message without markup.
pub fn deletion_notice(project_name: &str, to: &str) -> Message {
    let order = Order::new(Letter::AccountDeleted, to, "en");
    let (subject, text) = order.letter.words(order.texts());
    let head = Letterhead { project_name, accent: tessera::mail::ACCENT };
    let message = compose(&order, Words { subject, text }, head).unwrap();
    Message { html: None, ..message }
}
