//! A code by mail as a second factor: for one sign-in, once, and only where it may be.

use serde_json::json;

use crate::support::oauth::claims_of;
use crate::support::{
    Engine, Mailbox, Middle, NEW_PASSWORD, PASSWORD, Seen, Shop, TestApp, both_engines, code_of, link_of,
};

both_engines!(
    a_code_by_mail_is_a_second_factor,
    a_mailed_code_is_for_one_sign_in_and_once,
    of_many_at_once_one_gets_through,
    guesses_at_a_mailed_code_are_bounded,
    codes_are_mailed_where_they_may_be,
    a_mailbox_is_not_filled_with_codes,
    owners_are_told_of_their_factors,
    one_mailbox_is_no_two_factors,
);

const WRONG: &str = "That code is not right, or was used before.";

async fn shop(app: &TestApp) -> Shop {
    let shop = app.shop("shop", "confidential").await;
    app.verify_alice(&shop).await;
    app.policy(&shop, json!({"second_factor": "required", "factors": ["totp", "email_code"]})).await;
    shop
}

/// Asks for a code; the status of the answer.
async fn ask(app: &TestApp, shop: &Shop, middle: &Middle) -> u16 {
    let sealed = middle.sealed();
    let form = [("request", sealed.as_str()), ("factor", "email_code"), ("send", "yes")];
    app.post_page(shop, "/second-factor", &middle.cookie, &form).await.status().as_u16()
}

/// The code of the one letter that was sent.
pub async fn mailed(app: &TestApp, mailbox: &Mailbox) -> String {
    let letter = mailbox.one(app, "alice@example.com").await;
    assert_eq!(letter.subject, "Your code for shop");
    let is_code = |line: &&str| line.len() == 6 && line.bytes().all(|b| b.is_ascii_digit());
    letter.text.lines().find(is_code).unwrap_or_else(|| panic!("{}", letter.text)).to_owned()
}

fn other_than(code: &str) -> String {
    format!("{:06}", (code.parse::<u32>().unwrap() + 1) % 1_000_000)
}

async fn a_code_by_mail_is_a_second_factor(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let shop = shop(&app).await;
    let middle = app.half_signed_in(&shop, "&scope=openid").await;
    assert!(middle.page.text.contains("Send the code") && !middle.page.text.contains(r#"name="code""#));
    assert!(mailbox.take(&app).await.is_empty(), "nothing is mailed before it is asked for");
    assert_eq!(ask(&app, &shop, &middle).await, 303);
    let page = app.get_page(&shop, "/second-factor?with=email_code", &middle.cookie).await;
    let page = Seen::of(page).await;
    assert!(page.text.contains(r#"autocomplete="one-time-code""#) && page.text.contains("Send another code"));
    let code = mailed(&app, &mailbox).await;
    let done = app.show(&shop, &middle, "email_code", &format!("{} {}", &code[..3], &code[3..])).await;
    let tokens = app.exchange(&shop, &code_of(&done)).await.ok();
    let claims = claims_of(tokens["access_token"].as_str().unwrap());
    assert_eq!((&claims["amr"], &claims["acr"]), (&json!(["pwd", "otp", "mfa"]), &json!("2")));
    // The form once more is a page that is over.
    let again = Seen::of(app.show(&shop, &middle, "email_code", &code).await).await;
    assert_eq!(again.status, 400);
}

async fn a_mailed_code_is_for_one_sign_in_and_once(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let shop = shop(&app).await;
    let (one, other) = (app.half_signed_in(&shop, "").await, app.half_signed_in(&shop, "").await);
    assert_eq!(ask(&app, &shop, &one).await, 303);
    let first = mailed(&app, &mailbox).await;
    // Not in another browser of the same person, whether or not that one has asked.
    Seen::of(app.show(&shop, &other, "email_code", &first).await).await.asks_again(400, WRONG);
    assert_eq!(ask(&app, &shop, &other).await, 303);
    let theirs = mailed(&app, &mailbox).await;
    if theirs != first {
        Seen::of(app.show(&shop, &other, "email_code", &first).await).await.asks_again(400, WRONG);
    }
    // The next code takes the place of the first.
    assert_eq!(ask(&app, &shop, &one).await, 303);
    let second = mailed(&app, &mailbox).await;
    if second != first {
        Seen::of(app.show(&shop, &one, "email_code", &first).await).await.asks_again(400, WRONG);
    }
    assert_eq!(app.show(&shop, &one, "email_code", &second).await.status(), 303);
    assert_eq!(app.show(&shop, &other, "email_code", &theirs).await.status(), 303);
}

async fn of_many_at_once_one_gets_through(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let shop = shop(&app).await;
    let middle = app.half_signed_in(&shop, "").await;
    assert_eq!(ask(&app, &shop, &middle).await, 303);
    let code = mailed(&app, &mailbox).await;
    let shown = (0..4).map(|_| app.show(&shop, &middle, "email_code", &code));
    let answers = futures_util::future::join_all(shown).await;
    assert_eq!(answers.iter().filter(|answer| answer.status() == 303).count(), 1);
}

async fn guesses_at_a_mailed_code_are_bounded(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let shop = shop(&app).await;
    let middle = app.half_signed_in(&shop, "").await;
    assert_eq!(ask(&app, &shop, &middle).await, 303);
    let code = mailed(&app, &mailbox).await;
    for _ in 0..4 {
        let wrong = app.show(&shop, &middle, "email_code", &other_than(&code)).await;
        Seen::of(wrong).await.asks_again(400, WRONG);
    }
    // Another code brings no other tries.
    assert_eq!(ask(&app, &shop, &middle).await, 303);
    let code = mailed(&app, &mailbox).await;
    let last = Seen::of(app.show(&shop, &middle, "email_code", &other_than(&code)).await).await;
    assert!(last.status == 400 && last.text.contains("This sign-in is over"), "{}", last.text);
    assert_eq!(app.show(&shop, &middle, "email_code", &code).await.status(), 400);
}

async fn codes_are_mailed_where_they_may_be(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let leads_to_enrolment = async || {
        let (cookie, sealed) = app.sign_in_page(&shop, "").await;
        let answer = app.submit(&shop, &cookie, &sealed, PASSWORD).await;
        answer.headers()["location"].to_str().unwrap().ends_with("/enrol")
    };
    // An address that nobody has confirmed is nobody's.
    app.policy(&shop, json!({"second_factor": "required", "factors": ["totp", "email_code"]})).await;
    assert!(leads_to_enrolment().await);
    let desk = app.verify_alice(&shop).await;
    // A policy that does not name it.
    app.policy(&shop, json!({"factors": ["totp"]})).await;
    assert!(leads_to_enrolment().await);
    // Whoever has asked for nothing has a mailbox too: nobody is asked for a code that only might be wanted.
    app.policy(&shop, json!({"second_factor": "optional", "factors": ["totp", "email_code"]})).await;
    assert!(app.signs_in(&shop, ("alice", PASSWORD)).await);
    // The address is taken away in between.
    app.policy(&shop, json!({"second_factor": "required"})).await;
    let middle = app.half_signed_in(&shop, "").await;
    desk.patch(&format!("/users/{}", shop.user), json!({"email_verified": false})).await.ok();
    assert_ne!(ask(&app, &shop, &middle).await, 303);
    assert!(mailbox.take(&app).await.is_empty());
}

async fn a_mailbox_is_not_filled_with_codes(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let shop = shop(&app).await;
    let (mut sent, mut refused) = (0, 0);
    for _ in 0..4 {
        let middle = app.half_signed_in(&shop, "").await;
        for _ in 0..3 {
            match ask(&app, &shop, &middle).await {
                303 => sent += 1,
                429 => refused += 1,
                other => panic!("{other}"),
            }
        }
    }
    assert_eq!((sent, refused), (10, 2));
    assert_eq!(mailbox.take(&app).await.len(), 10);
}

/// Whoever reads somebody's mail gets a new password and a code by mail. With an authenticator app beside, that is not enough.
async fn one_mailbox_is_no_two_factors(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let shop = shop(&app).await;
    app.policy(&shop, json!({"factors": ["totp"]})).await;
    let enrolled = app.enrolled(&shop).await;
    app.policy(&shop, json!({"second_factor": "required", "factors": ["totp", "email_code"]})).await;
    mailbox.take(&app).await;
    let offered = async |password: &str| {
        let (cookie, sealed) = app.sign_in_page(&shop, "").await;
        app.asked_for_more(&app.submit(&shop, &cookie, &sealed, password).await).await
    };
    let usual = offered(PASSWORD).await;
    assert!(usual.page.text.contains("with=email_code"), "{}", usual.page.text);
    app.forget(&shop, "alice").await;
    let link = link_of(&app, &mailbox.one(&app, "alice@example.com").await);
    let chosen = [("password", NEW_PASSWORD), ("again", NEW_PASSWORD)];
    assert_eq!(app.follow_link(&link, &chosen).await.status, 200);
    mailbox.take(&app).await;
    let middle = offered(NEW_PASSWORD).await;
    assert!(!middle.page.text.contains("email_code"), "{}", middle.page.text);
    assert_eq!(ask(&app, &shop, &middle).await, 400);
    assert!(mailbox.take(&app).await.is_empty());
    Seen::of(app.show(&shop, &middle, "email_code", "000000").await)
        .await
        .refused(400, "The form is not complete.");
    // The app is enough, and with a password that was not chosen by mail so is a code again.
    app.app.clock.advance(30);
    let done = app.show(&shop, &middle, "totp", &enrolled.authenticator.code(&app)).await;
    assert_eq!(done.status(), 303);
    let desk = app.desk(&shop, "user_manager").await;
    let reset = format!("/users/{}/set-password", shop.user);
    desk.post(&reset, json!({"password": PASSWORD})).await.ok();
    assert!(offered(PASSWORD).await.page.text.contains("with=email_code"));
    // Where the app does not count, and for whoever has none, the mailbox is all that there is.
    app.policy(&shop, json!({"factors": ["email_code"]})).await;
    app.forget(&shop, "alice").await;
    let letters = mailbox.take(&app).await;
    let letter = letters.iter().find(|letter| letter.subject.starts_with("Choose")).unwrap();
    assert_eq!(app.follow_link(&link_of(&app, letter), &chosen).await.status, 200);
    mailbox.take(&app).await;
    let middle = offered(NEW_PASSWORD).await;
    assert_eq!(ask(&app, &shop, &middle).await, 303);
    let code = mailed(&app, &mailbox).await;
    assert_eq!(app.show(&shop, &middle, "email_code", &code).await.status(), 303);
}

async fn owners_are_told_of_their_factors(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let enrolled = app.enrolled(&shop).await;
    let told = mailbox.one(&app, "alice@example.com").await;
    assert_eq!(told.subject, "A new way to sign in at shop");
    assert!(told.text.contains("in addition: an authenticator app."), "{}", told.text);
    let middle = app.half_signed_in(&shop, "").await;
    assert_eq!(app.show(&shop, &middle, "recovery_code", &enrolled.codes[0]).await.status(), 303);
    let told = mailbox.one(&app, "alice@example.com").await;
    assert_eq!(told.subject, "A recovery code was used at shop");
    assert!(told.text.contains("Codes that are left: 9."), "{}", told.text);
}
