//! A person with an authenticator app, and the steps of a sign-in that asks for it.

use aws_lc_rs::hmac;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use tessera::audit::Actor;
use tessera::model::role::Role;
use tessera::projects::admins::home;
use tessera::projects::{self, ProjectChange};

use super::{PASSWORD, Seen, Shop, TestApp, between, cookie_of, sealed_of};

/// An authenticator app that has been told a key: written from the RFC, and not with what the server uses.
pub struct Authenticator(Vec<u8>);

impl Authenticator {
    /// The key as the page shows it, in base32 (RFC 4648, 6).
    pub fn of(key: &str) -> Self {
        let (mut bytes, mut held, mut bits) = (Vec::new(), 0_u32, 0);
        for letter in key.bytes().filter(|byte| *byte != b' ') {
            let value = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|known| *known == letter);
            held = (held << 5 | u32::try_from(value.unwrap()).unwrap()) & 0xfff;
            bits += 5;
            if bits >= 8 {
                bits -= 8;
                bytes.push((held >> bits & 0xff) as u8);
            }
        }
        Self(bytes)
    }

    /// What it shows now.
    pub fn code(&self, app: &TestApp) -> String {
        self.code_at(app, 0)
    }

    /// What it shows so many seconds from now.
    pub fn code_at(&self, app: &TestApp, seconds: i64) -> String {
        self.shown_at(u64::try_from(app.app.clock.now().unix() + seconds).unwrap())
    }

    /// RFC 6238, 4.2, with RFC 4226, 5.3.
    fn shown_at(&self, unix: u64) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        let mac = hmac::sign(&key, &(unix / 30).to_be_bytes());
        let mac = mac.as_ref();
        let from = usize::from(mac[19] & 0x0f);
        let number = u32::from_be_bytes(mac[from..from + 4].try_into().unwrap()) & 0x7fff_ffff;
        format!("{:06}", number % 1_000_000)
    }
}

/// RFC 6238, appendix B: the last six of its eight digits.
#[test]
fn the_app_is_one_of_the_rfc() {
    let app = Authenticator::of("GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ");
    for (unix, code) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
        assert_eq!(app.shown_at(unix), code);
    }
}

/// A sign-in in progress: the cookie that it lies under, and the page that is shown.
pub struct Middle {
    pub cookie: String,
    pub page: Seen,
}

impl Middle {
    pub fn sealed(&self) -> String {
        sealed_of(&self.page.text)
    }
}

/// An app and the codes for the day that it is lost.
pub struct Enrolled {
    pub authenticator: Authenticator,
    pub codes: Vec<String>,
}

impl TestApp {
    /// Changes the policy of the shop's project; that of the built-in one on the command line, which alone may lower it.
    pub async fn policy(&self, shop: &Shop, policy: Value) {
        if shop.slug == home::SLUG {
            let settings = json!({"sign_in": policy}).as_object().unwrap().clone();
            let change = ProjectChange { settings, ..ProjectChange::default() };
            let ctx = self.ctx(shop).await;
            projects::change(&ctx, &Actor::command_line(), Role::Owner, None, change).await.unwrap();
            return;
        }
        let owner = self.key(None, "owner").await;
        let body = json!({"settings": {"sign_in": policy}});
        self.admin(&owner, Method::PATCH, &format!("/projects/{}", shop.slug), body).await.ok();
    }

    /// Posts a form to a page of the project.
    pub async fn post_page(&self, shop: &Shop, path: &str, cookie: &str, form: &[(&str, &str)]) -> Response {
        let request = self.http.post(self.project_url(shop, path)).header("cookie", cookie);
        request.form(form).send().await.unwrap()
    }

    pub async fn get_page(&self, shop: &Shop, path: &str, cookie: &str) -> Response {
        self.http.get(self.project_url(shop, path)).header("cookie", cookie).send().await.unwrap()
    }

    /// Alice types her password, and is asked for more.
    pub async fn half_signed_in(&self, shop: &Shop, more: &str) -> Middle {
        let (cookie, sealed) = self.sign_in_page(shop, more).await;
        self.asked_for_more(&self.submit(shop, &cookie, &sealed, PASSWORD).await).await
    }

    /// The page that an answer leads to, under the cookie that it sets.
    pub async fn asked_for_more(&self, answer: &Response) -> Middle {
        assert_eq!(answer.status(), 303);
        let cookie = cookie_of(answer);
        let page = Seen::of(self.follow(answer, &cookie).await).await;
        assert_eq!(page.status, 200, "{}", page.text);
        Middle { cookie, page }
    }

    pub async fn show(&self, shop: &Shop, middle: &Middle, factor: &str, code: &str) -> Response {
        let sealed = middle.sealed();
        let form = [("request", sealed.as_str()), ("factor", factor), ("code", code)];
        self.post_page(shop, "/second-factor", &middle.cookie, &form).await
    }

    /// Alice makes a second factor, because the project asks for one; from then on whoever has one is asked.
    pub async fn enrolled(&self, shop: &Shop) -> Enrolled {
        self.policy(shop, json!({"second_factor": "required"})).await;
        let middle = self.half_signed_in(shop, "").await;
        let (enrolled, last) = self.enrol(shop, &middle).await;
        let done = self.post_page(shop, "/second-factor", &last.cookie, &[("request", &last.sealed())]).await;
        assert_eq!(done.status(), 303);
        self.policy(shop, json!({"second_factor": null})).await;
        // The code that it has shown counts no more.
        self.app.clock.advance(30);
        enrolled
    }

    /// From the picture to the codes.
    pub async fn enrol(&self, shop: &Shop, middle: &Middle) -> (Enrolled, Middle) {
        let key = between(&middle.page.text, r#"<pre id="key" dir="ltr">"#, "</pre>");
        let authenticator = Authenticator::of(key);
        let form = [("request", middle.sealed()), ("code", authenticator.code(self))];
        let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
        let answer = self.post_page(shop, "/enrol", &middle.cookie, &form).await;
        let cookie = cookie_of(&answer);
        let page = Seen::of(answer).await;
        assert_eq!(page.status, 200, "{}", page.text);
        let list = between(&page.text, r#"<ul class="codes" dir="ltr">"#, "</ul>");
        let codes = list.split("<li>").skip(1).map(|item| item.split('<').next().unwrap().to_owned());
        (Enrolled { authenticator, codes: codes.collect() }, Middle { cookie, page })
    }

    /// Alice signs in with both: the answer, which leads to the application.
    pub async fn signed_in_with(&self, shop: &Shop, more: &str, authenticator: &Authenticator) -> Response {
        let middle = self.half_signed_in(shop, more).await;
        let answer = self.show(shop, &middle, "totp", &authenticator.code(self)).await;
        assert_eq!(answer.status(), 303);
        answer
    }
}
