//! Accounts of one's own: sign-up, invitations, and mail addresses that are proved.

use reqwest::Method;
use serde_json::{Value, json};
use tessera::mail::files::Kept;

use crate::support::{
    Account, Deleting, Desk, Engine, Mailbox, NEW_PASSWORD, PASSWORD, REASON, Seen, Shop, TestApp, between,
    both_engines, link_of, number,
};

both_engines!(
    somebody_makes_an_account,
    who_is_here_already_is_told_by_mail_alone,
    a_closed_project_takes_nobody_in,
    user_names_are_not_to_be_listed,
    an_invitation_makes_an_account,
    what_waits_for_an_address_goes_with_its_owner,
    invitations_are_bounded_and_typed,
    an_invitation_is_withdrawn,
    of_many_who_join_at_once_one_does,
    one_mailbox_makes_one_account,
    nobody_calls_themselves_by_the_address_of_others,
    strangers_use_up_no_letters_of_others,
    an_address_is_verified,
    an_address_is_changed,
    of_several_moves_one_is_made,
    whoever_changes_a_password_is_told,
    other_projects_see_no_invitations,
);

const SENT: &str =
    "We have written to this address. Follow the link in the letter to go on; it is good for 24 hours.";
const GONE: &str = "It was used already, has expired, or your account has changed since it was sent.";
const NEW: &str = "new@example.com";

async fn shop(app: &TestApp, sign_up: &str) -> (Shop, String) {
    let shop = app.shop("shop", "confidential").await;
    let key = app.key(Some(shop.project), "admin").await;
    policy(app, &key, "shop", sign_up).await;
    (shop, key)
}

async fn policy(app: &TestApp, key: &str, slug: &str, sign_up: &str) {
    let body = json!({"settings": {"sign_in": {"sign_up": sign_up}}});
    let changed = app.admin(key, Method::PATCH, &format!("/projects/{slug}"), body).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
}

async fn ask(app: &TestApp, shop: &Shop, email: &str) -> Seen {
    let url = app.project_url(shop, "/sign-up");
    let (cookie, sealed, _) = app.open_form(&url, None).await;
    Seen::of(app.post_form(&url, (&cookie, &sealed), &[("email", email)]).await).await
}

async fn link(app: &TestApp, mailbox: &Mailbox, shop: &Shop, email: &str) -> String {
    let seen = ask(app, shop, email).await;
    assert_eq!((seen.status, seen.message().as_str()), (200, SENT));
    let letter = mailbox.one(app, email).await;
    assert_eq!(letter.subject, "Your account at shop");
    link_of(app, &letter)
}

fn choice<'a>(username: &'a str, password: &'a str) -> [(&'a str, &'a str); 3] {
    [("username", username), ("password", password), ("again", password)]
}

async fn user(desk: &Desk<'_>, name: &str) -> Value {
    let found = desk.get(&format!("/users?search={name}")).await.ok();
    found["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|user| user["username"] == name)
        .cloned()
        .unwrap_or_default()
}

async fn somebody_makes_an_account(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let (shop, _) = shop(&app, "open").await;
    // From an application's sign-in.
    let page = app.http.get(app.authorize_url(&shop, "&scope=openid")).send().await.unwrap();
    let browser = crate::support::cookie_of(&page);
    let page = Seen::of(page).await;
    let (_, after) = page.text.split_once("Forgotten your password?").unwrap();
    let url = format!("{}{}", app.base, between(after, r#"<a href=""#, "\"").replace("&#38;", "&"));
    let (cookie, sealed, form) = app.open_form(&url, Some(&browser)).await;
    assert!(form.text.contains("I have an account already"));
    let sent =
        Seen::of(app.post_form(&url, (&cookie, &sealed), &[("email", " New@Example.com ")]).await).await;
    assert_eq!((sent.status, sent.message().as_str()), (200, SENT));
    let letter = mailbox.one(&app, "New@Example.com").await;
    let link = link_of(&app, &letter);
    // Nobody is there before the form is posted.
    let (cookie, sealed, form) = app.open_form(&link, Some(&browser)).await;
    assert!(form.text.contains("<bdi>New@Example.com</bdi>"));
    let desk = app.desk(&shop, "auditor").await;
    assert_eq!(user(&desk, "newcomer").await, json!(null));
    let made = app.post_form(&link, (&cookie, &sealed), &choice(" newcomer ", NEW_PASSWORD)).await;
    let made = Seen::of(made).await;
    assert_eq!((made.status, made.text.contains("Your account is ready")), (200, true));
    assert!(made.text.contains("/projects/shop/oauth2/authorize?response_type=code"), "{}", made.text);
    let newcomer = user(&desk, "newcomer").await;
    assert_eq!((&newcomer["email"], &newcomer["email_verified"]), (&json!("New@Example.com"), &json!(true)));
    assert_eq!((&newcomer["status"], &newcomer["locale"]), (&json!("active"), &json!("en")));
    assert!(app.signs_in(&shop, ("newcomer", NEW_PASSWORD)).await);
    let audit = desk.get("/audit?action=user.created").await.ok();
    assert_eq!(
        (&audit["items"][0]["detail"]["by"], &audit["items"][0]["actor_kind"]),
        (&json!("sign-up"), &json!("user"))
    );
    // Under a key that came with the account.
    assert_eq!(audit["items"][0]["origin"], json!({"address": "127.0.0.1", "user_agent": ""}));
    // The link is used up, and nothing of the address is left with it.
    assert_eq!(Seen::of(app.http.get(&link).send().await.unwrap()).await.message(), GONE);
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM mail_links").await, 0);
}

/// The page and its cookie are the same for everybody; who is here is told by a letter, to their own address.
async fn who_is_here_already_is_told_by_mail_alone(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let (shop, _) = shop(&app, "open").await;
    let desk = app.verify_alice(&shop).await;
    let named = json!({"username": "name@example.com", "email": "own@example.com", "email_verified": true});
    desk.post("/users", named).await.created();
    let (known, unknown) = (ask(&app, &shop, "ALICE@example.com").await, ask(&app, &shop, NEW).await);
    assert_eq!((known.status, &known.text), (unknown.status, &unknown.text));
    assert_eq!(known.headers.len(), unknown.headers.len());
    let mut letters = mailbox.take(&app).await;
    letters.sort_by(|a, b| a.to.cmp(&b.to));
    assert_eq!(letters.iter().map(|letter| &*letter.to).collect::<Vec<_>>(), ["alice@example.com", NEW]);
    assert_eq!(letters[0].subject, "You have an account at shop already");
    assert!(letters[0].text.contains("its user name is alice.") && !letters[0].text.contains("://"));
    // A user name that looks like an address: its owner is told, and the address is written to.
    assert_eq!(ask(&app, &shop, "name@example.com").await.text, unknown.text);
    let mut letters = mailbox.take(&app).await;
    letters.sort_by(|a, b| a.to.cmp(&b.to));
    let told: Vec<_> = letters.iter().map(|letter| (&*letter.to, &*letter.subject)).collect();
    let known = "You have an account at shop already";
    assert_eq!(told, [("name@example.com", "Your account at shop"), ("own@example.com", known)]);
    // Nonsense is told at once: it is nobody's address.
    for nonsense in ["", "alice", "@", "a b@example.com"] {
        let seen = ask(&app, &shop, nonsense).await;
        seen.asks_again(400, "Enter a mail address, such as name@example.com.");
    }
}

async fn a_closed_project_takes_nobody_in(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let (shop, key) = shop(&app, "open").await;
    let open = link(&app, &mailbox, &shop, NEW).await;
    let (cookie, sealed, _) = app.open_form(&app.project_url(&shop, "/sign-up"), None).await;
    let (follower, form, _) = app.open_form(&open, None).await;
    for policy_word in ["closed", "invitation"] {
        policy(&app, &key, "shop", policy_word).await;
        let page = Seen::of(app.http.get(app.authorize_url(&shop, "")).send().await.unwrap()).await;
        assert!(!page.text.contains("/sign-up"));
        let url = app.project_url(&shop, "/sign-up");
        let get = Seen::of(app.http.get(&url).send().await.unwrap()).await;
        get.refused(403, "Accounts are not made here by oneself.");
        let post = app.post_form(&url, (&cookie, &sealed), &[("email", NEW)]).await;
        Seen::of(post).await.refused(403, "Accounts are not made here by oneself.");
        // A link from before leads nowhere.
        assert_eq!(Seen::of(app.http.get(&open).send().await.unwrap()).await.message(), GONE);
        let late = app.post_form(&open, (&follower, &form), &choice("newcomer", NEW_PASSWORD)).await;
        assert_eq!(Seen::of(late).await.message(), GONE);
    }
    assert!(mailbox.take(&app).await.is_empty());
    policy(&app, &key, "shop", "open").await;
    assert_eq!(app.follow_link(&open, &choice("newcomer", NEW_PASSWORD)).await.status, 200);
}

/// A name that is taken is told to somebody who has proved a mailbox, ten times.
async fn user_names_are_not_to_be_listed(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let (shop, _) = shop(&app, "open").await;
    let link = link(&app, &mailbox, &shop, NEW).await;
    let (cookie, sealed, _) = app.open_form(&link, None).await;
    let post = async |username: &str| {
        Seen::of(app.post_form(&link, (&cookie, &sealed), &choice(username, NEW_PASSWORD)).await).await
    };
    for n in 0..10 {
        let name = if n % 2 == 0 { "ALICE" } else { "Ａlice" };
        post(name).await.asks_again(400, "This user name is taken. Please choose another one.");
    }
    let slow = "This was asked for too often. Please wait for a quarter of an hour.";
    post("alice").await.asks_again(429, slow);
    post("newcomer").await.asks_again(429, slow);
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM users").await, 1);
}

async fn invite(desk: &Desk<'_>, body: Value) -> Value {
    desk.post("/invitations", body).await.created()
}

async fn an_invitation_makes_an_account(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let (shop, key) = shop(&app, "invitation").await;
    let admin = app.desk(&shop, "admin").await;
    admin.define(&[], &["keeper"], &["staff"]).await;
    let desk = app.desk(&shop, "user_manager").await;
    let body = json!({"email": NEW, "username": "newcomer", "roles": ["keeper"], "groups": ["staff"],
        "expires_in_hours": 48, "language": "de-AT"});
    let made = invite(&desk, body).await;
    assert_eq!(
        (&made["email"], &made["username"], &made["roles"]),
        (&json!(NEW), &json!("newcomer"), &json!(["keeper"]))
    );
    assert!(made.get("link").is_none() && made.get("token").is_none(), "the link is for the mailbox alone");
    let letter = mailbox.one(&app, NEW).await;
    assert_eq!(letter.subject, "Einladung zu shop");
    let link = link_of(&app, &letter);
    let listed = desk.get("/invitations").await.ok();
    assert_eq!((&listed["items"][0]["id"], &listed["next"]), (&made["id"], &json!(null)));
    let (cookie, sealed, form) = app.open_form(&link, None).await;
    assert!(form.text.contains(r#"value="newcomer" autocomplete="username" readonly"#), "{}", form.text);
    // Another name is not to be had by editing the form.
    let fields = choice("owner", NEW_PASSWORD);
    assert_eq!(app.post_form(&link, (&cookie, &sealed), &fields).await.status(), 200);
    let newcomer = user(&desk, "newcomer").await;
    assert_eq!((&newcomer["roles"], &newcomer["groups"]), (&json!(["keeper"]), &json!(["staff"])));
    assert_eq!((&newcomer["email_verified"], &newcomer["locale"]), (&json!(true), &json!("de")));
    assert_eq!(user(&desk, "owner").await, json!(null));
    assert!(app.signs_in(&shop, ("newcomer", NEW_PASSWORD)).await);
    assert_eq!(desk.get("/invitations").await.ok()["items"], json!([]));
    assert_eq!(Seen::of(app.http.get(&link).send().await.unwrap()).await.message(), GONE);
    // A role that is gone by then is promised to nobody.
    invite(&desk, json!({"email": "two@example.com", "roles": ["keeper"]})).await;
    let link = link_of(&app, &mailbox.one(&app, "two@example.com").await);
    app.admin(&key, Method::DELETE, "/projects/shop/roles/keeper", json!({})).await;
    let late = app.follow_link(&link, &choice("second", NEW_PASSWORD)).await;
    assert_eq!((late.status, late.message().as_str()), (400, GONE));
    assert_eq!(user(&desk, "second").await, json!(null));
}

/// Invited twice and joined by one of the letters: the other one, and its link, do not outlive the person.
async fn what_waits_for_an_address_goes_with_its_owner(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let (shop, _) = shop(&app, "invitation").await;
    let desk = app.desk(&shop, "user_manager").await;
    invite(&desk, json!({"email": NEW, "username": "newcomer"})).await;
    let link = link_of(&app, &mailbox.one(&app, NEW).await);
    invite(&desk, json!({"email": NEW.to_uppercase(), "username": "other"})).await;
    invite(&desk, json!({"email": "two@example.com"})).await;
    let joined = app.follow_link(&link, &choice("newcomer", NEW_PASSWORD)).await;
    assert_eq!(joined.status, 200, "{}", joined.text);
    let deleting = Deleting::new(&app, &shop).await;
    let asked = json!({"user": {"username": "newcomer"}, "reason": REASON});
    let asked = deleting.post("delete-user", asked).await;
    assert_eq!(asked.status, 202, "{}", asked.body);
    let waiting = "SELECT count(*) AS n FROM outbox WHERE kind = 'mail' AND state = 'waiting'";
    assert_eq!(number(&app.app.db, waiting).await, 2);
    deleting.confirm(asked.body["deletion_id"].as_str().unwrap(), "newcomer").await.ok();
    let left = desk.get("/invitations").await.ok();
    let addresses: Vec<_> =
        left["items"].as_array().unwrap().iter().map(|one| one["email"].clone()).collect();
    assert_eq!(addresses, ["two@example.com"]);
    // Of the two letters that waited one is left, and the notice of the deletion is new.
    assert_eq!(number(&app.app.db, waiting).await, 2);
    let of_nobody =
        "SELECT count(*) AS n FROM outbox WHERE kind = 'mail' AND state = 'waiting' AND address_key IS NULL";
    assert_eq!(number(&app.app.db, of_nobody).await, 1);
}

async fn invitations_are_bounded_and_typed(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let (shop, key) = shop(&app, "invitation").await;
    let desk = app.verify_alice(&shop).await;
    for (body, field, why) in [
        (
            json!({"email": "nobody"}),
            "email",
            "email is a mail address of at most 254 bytes without spaces or invisible characters",
        ),
        (
            json!({"email": "a@b\r\nBcc: eve@example.com"}),
            "email",
            "email is a mail address of at most 254 bytes without spaces or invisible characters",
        ),
        (
            json!({"email": NEW, "username": " "}),
            "username",
            "username has 1 to 128 characters, no control or invisible characters and no space at either end",
        ),
        (
            json!({"email": NEW, "expires_in_hours": 0}),
            "expires_in_hours",
            "expires_in_hours must lie between 1 and 720",
        ),
        (
            json!({"email": NEW, "expires_in_hours": 721}),
            "expires_in_hours",
            "expires_in_hours must lie between 1 and 720",
        ),
        (json!({"email": NEW, "roles": ["nothing"]}), "roles", "there is no role nothing"),
        (json!({"email": NEW, "groups": ["nothing"]}), "groups", "there is no group nothing"),
        (json!({"email": NEW, "language": "tlh"}), "language", "letters are not written in this language"),
    ] {
        desk.post("/invitations", body).await.refused_for(400, "invalid_request", field, why);
    }
    let taken = "another user has this user name, or one that looks the same";
    desk.post("/invitations", json!({"email": NEW, "username": "ALICE"}))
        .await
        .refused_for(409, "conflict", "username", taken);
    let known = "a user has this mail address already";
    desk.post("/invitations", json!({"email": "Alice@example.com"}))
        .await
        .refused_for(409, "conflict", "email", known);
    assert_eq!(desk.post("/invitations", json!({"email": NEW, "colour": "red"})).await.status, 400);
    let auditor = app.desk(&shop, "auditor").await;
    assert_eq!(auditor.post("/invitations", json!({"email": NEW})).await.status, 403);
    policy(&app, &key, "shop", "closed").await;
    let closed = "the project takes nobody in: settings.sign_in.sign_up is closed";
    desk.post("/invitations", json!({"email": NEW})).await.refused(409, "conflict", closed);
    assert!(mailbox.take(&app).await.is_empty());
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM mail_links").await, 0);
}

async fn an_invitation_is_withdrawn(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let (shop, _) = shop(&app, "invitation").await;
    let desk = app.desk(&shop, "user_manager").await;
    let made = invite(&desk, json!({"email": NEW})).await;
    let link = link_of(&app, &mailbox.one(&app, NEW).await);
    let (cookie, sealed, _) = app.open_form(&link, None).await;
    let path = format!("/invitations/{}", made["id"].as_str().unwrap());
    assert_eq!(desk.delete(&path).await.status, 200);
    desk.delete(&path).await.refused(404, "not_found", "no such invitation");
    let late = app.post_form(&link, (&cookie, &sealed), &choice("newcomer", NEW_PASSWORD)).await;
    assert_eq!(Seen::of(late).await.message(), GONE);
    // One that has lapsed is neither listed nor withdrawn.
    let made = invite(&desk, json!({"email": NEW, "expires_in_hours": 1})).await;
    let link = link_of(&app, &mailbox.one(&app, NEW).await);
    app.app.clock.advance(3600);
    assert_eq!(Seen::of(app.http.get(&link).send().await.unwrap()).await.message(), GONE);
    assert_eq!(desk.get("/invitations").await.ok()["items"], json!([]));
    assert_eq!(desk.delete(&format!("/invitations/{}", made["id"].as_str().unwrap())).await.status, 404);
    let audit = app.desk(&shop, "admin").await.get("/audit?action=invitation.withdrawn").await.ok();
    assert_eq!(audit["items"].as_array().unwrap().len(), 1);
}

async fn of_many_who_join_at_once_one_does(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let (shop, _) = shop(&app, "open").await;
    let link = link(&app, &mailbox, &shop, NEW).await;
    let mut forms = Vec::new();
    for _ in 0..5 {
        let (cookie, sealed, _) = app.open_form(&link, None).await;
        forms.push((cookie, sealed));
    }
    let names: Vec<String> = (0..5).map(|n| format!("newcomer{n}")).collect();
    let posts =
        forms.iter().zip(&names).map(|((cookie, sealed), name)| {
            let (app, link) = (&app, &link);
            async move {
                app.post_form(link, (cookie, sealed), &choice(name, NEW_PASSWORD)).await.status().as_u16()
            }
        });
    let mut statuses = futures_util::future::join_all(posts).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400, 400, 400, 400]);
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM users").await, 2);
}

/// Two letters to one mailbox make one account, one after the other and at once.
async fn one_mailbox_makes_one_account(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let (shop, _) = shop(&app, "open").await;
    let (first, second) =
        (link(&app, &mailbox, &shop, NEW).await, link(&app, &mailbox, &shop, "NEW@example.com").await);
    assert_eq!(app.follow_link(&first, &choice("newcomer", NEW_PASSWORD)).await.status, 200);
    let late = app.follow_link(&second, &choice("another", NEW_PASSWORD)).await;
    assert_eq!((late.status, late.message().as_str()), (400, GONE));
    let (third, fourth) = (
        link(&app, &mailbox, &shop, "two@example.com").await,
        link(&app, &mailbox, &shop, "two@example.com").await,
    );
    let node = app.second_node().await;
    let there = fourth.replace(&app.base, &node.base);
    let (one, two) = (choice("one", NEW_PASSWORD), choice("two", NEW_PASSWORD));
    let (one, two) = tokio::join!(app.follow_link(&third, &one), node.follow_link(&there, &two));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
    assert_eq!(number(&app.app.db, "SELECT count(*) AS n FROM users").await, 3);
}

/// People are found by user name and by address: a name that is somebody else's address would be asked for theirs.
async fn nobody_calls_themselves_by_the_address_of_others(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let (shop, _) = shop(&app, "open").await;
    let link = link(&app, &mailbox, &shop, NEW).await;
    let (cookie, sealed, _) = app.open_form(&link, None).await;
    for name in ["bob@example.com", "bob＠example.com", " bob@example.com", "@"] {
        let posted = app.post_form(&link, (&cookie, &sealed), &choice(name, NEW_PASSWORD)).await;
        let why = "A user name with an @ is your own mail address. Please choose another one.";
        Seen::of(posted).await.asks_again(400, why);
    }
    let own = app.post_form(&link, (&cookie, &sealed), &choice("New@Example.com", NEW_PASSWORD)).await;
    assert_eq!(own.status(), 200);
    assert!(app.signs_in(&shop, (NEW, NEW_PASSWORD)).await);
}

/// Each kind of letter has a count of its own, and whoever gets no further link has one that is good.
async fn strangers_use_up_no_letters_of_others(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let (shop, _) = shop(&app, "open").await;
    app.verify_alice(&shop).await;
    let mut told = 0;
    for _ in 0..3 {
        for _ in 0..3 {
            ask(&app, &shop, "alice@example.com").await;
        }
        told += mailbox.take(&app).await.len();
        app.app.clock.advance(900);
    }
    assert_eq!(told, 5);
    // All that a stranger can ask for.
    for who in ["alice", "alice@example.com"] {
        for _ in 0..3 {
            app.forget(&shop, who).await;
        }
    }
    let letters = mailbox.take(&app).await;
    assert_eq!(letters.len(), 5);
    app.app.clock.advance(1790);
    let good = Seen::of(app.http.get(link_of(&app, &letters[4])).send().await.unwrap()).await;
    assert_eq!(good.status, 200);
    app.app.clock.advance(10);
    app.forget(&shop, "alice").await;
    let letter = mailbox.one(&app, "alice@example.com").await;
    assert_eq!(letter.subject, "Choose a new password for shop");
}

fn with_subject<'a>(letters: &'a [Kept], subject: &str) -> &'a Kept {
    letters.iter().find(|letter| letter.subject == subject).unwrap_or_else(|| panic!("{subject}"))
}

async fn an_address_is_verified(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let (shop, _) = shop(&app, "closed").await;
    let desk = app.desk(&shop, "user_manager").await;
    let path = format!("/users/{}", shop.user);
    assert_eq!(desk.post(&format!("{path}/send-verification"), json!({})).await.status, 200);
    let link = link_of(&app, &mailbox.one(&app, "alice@example.com").await);
    let (cookie, sealed, form) = app.open_form(&link, None).await;
    assert!(form.text.contains("<bdi>alice@example.com</bdi>"));
    assert_eq!(desk.get(&path).await.ok()["email_verified"], false, "looking is not confirming");
    // Another address in between: what was proved is not what the account has.
    desk.patch(&path, json!({"email": "other@example.com"})).await;
    let late = app.post_form(&link, (&cookie, &sealed), &[]).await;
    assert_eq!(Seen::of(late).await.message(), GONE);
    assert_eq!(desk.get(&path).await.ok()["email_verified"], false);
    desk.post(&format!("{path}/send-verification"), json!({})).await;
    let link = link_of(&app, &mailbox.one(&app, "other@example.com").await);
    let done = app.follow_link(&link, &[]).await;
    assert_eq!(
        (done.status, done.message().as_str()),
        (200, "Your mail address is confirmed. You can close this page.")
    );
    assert_eq!(desk.get(&path).await.ok()["email_verified"], true);
    let none = "the account has no mail address that is not verified yet";
    desk.post(&format!("{path}/send-verification"), json!({})).await.refused(409, "conflict", none);
    let nobody = format!("/users/{}/send-verification", uuid::Uuid::nil());
    desk.post(&nobody, json!({})).await.refused(404, "not_found", "no such user");
    // Five letters an hour, and no more.
    desk.patch(&path, json!({"email_verified": false})).await;
    for n in 0..4 {
        let answer = desk.post(&format!("{path}/send-verification"), json!({})).await;
        assert_eq!(answer.status, if n < 3 { 200 } else { 409 }, "{n}");
    }
}

async fn an_address_is_changed(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let (shop, _) = shop(&app, "closed").await;
    let desk = app.verify_alice(&shop).await;
    let path = format!("/users/{}", shop.user);
    let ctx = app.ctx(&shop).await;
    let actor = tessera::audit::Actor::user(&ctx, shop.user);
    tessera::identity::addresses::ask_change(&ctx, &actor, shop.user, NEW).await.unwrap();
    let letters = mailbox.take(&app).await;
    assert_eq!(letters.len(), 2);
    let told = with_subject(&letters, "A new mail address for your account at shop");
    assert!(told.to == "alice@example.com" && told.text.contains(NEW) && !told.text.contains("://"));
    let letter = with_subject(&letters, "Confirm your new mail address for shop");
    assert_eq!(letter.to, NEW);
    // Until then the former one works: a new password goes there.
    assert_eq!(desk.get(&path).await.ok()["email"], "alice@example.com");
    app.forget(&shop, "alice").await;
    let reset = link_of(&app, &mailbox.one(&app, "alice@example.com").await);
    let done = app.follow_link(&link_of(&app, letter), &[]).await;
    assert_eq!(done.message(), "Your account now has this mail address. The former one has been told.");
    let user = desk.get(&path).await.ok();
    assert_eq!((&user["email"], &user["email_verified"]), (&json!(NEW), &json!(true)));
    let told = mailbox.one(&app, "alice@example.com").await;
    assert_eq!(told.subject, "Your account at shop has a new mail address");
    // What lies in the former mailbox opens nothing any more.
    let late = app.follow_link(&reset, &[("password", NEW_PASSWORD), ("again", NEW_PASSWORD)]).await;
    assert_eq!((late.status, late.message().as_str()), (400, GONE));
    assert!(app.signs_in(&shop, ("alice", PASSWORD)).await);
    // Another password makes a change that was asked for impossible.
    let ctx = app.ctx(&shop).await;
    tessera::identity::addresses::ask_change(&ctx, &actor, shop.user, "eve@example.com").await.unwrap();
    let letters = mailbox.take(&app).await;
    let link = link_of(&app, with_subject(&letters, "Confirm your new mail address for shop"));
    desk.post(&format!("{path}/set-password"), json!({"password": PASSWORD})).await.ok();
    assert_eq!(Seen::of(app.http.get(&link).send().await.unwrap()).await.message(), GONE);
}

/// Whoever had a session for a moment and asked for a move of their own has lost it once the account has another address.
async fn of_several_moves_one_is_made(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let (shop, _) = shop(&app, "closed").await;
    let desk = app.verify_alice(&shop).await;
    let path = format!("/users/{}", shop.user);
    let asked = async |address: &str| {
        let ctx = app.ctx(&shop).await;
        let actor = tessera::audit::Actor::user(&ctx, shop.user);
        tessera::identity::addresses::ask_change(&ctx, &actor, shop.user, address).await.unwrap();
        link_of(&app, with_subject(&mailbox.take(&app).await, "Confirm your new mail address for shop"))
    };
    let eves = asked("eve@example.com").await;
    // The same link of the same person twice is one that is followed twice.
    let (own, again) = (asked(NEW).await, asked(NEW).await);
    let done = app.follow_link(&own, &[]).await;
    assert_eq!(done.message(), "Your account now has this mail address. The former one has been told.");
    for late in [&eves, &again] {
        let late = app.follow_link(late, &[]).await;
        assert_eq!((late.status, late.message().as_str()), (400, GONE));
    }
    assert_eq!(desk.get(&path).await.ok()["email"], NEW);
    // Nor does it count when an admin was the one, be it back to what it was.
    let eves = asked("eve@example.com").await;
    desk.patch(&path, json!({"email": "alice@example.com", "email_verified": true})).await.ok();
    assert_eq!(app.follow_link(&eves, &[]).await.message(), GONE);
    // An account without an address gets one.
    desk.patch(&path, json!({"email": null})).await.ok();
    let first = asked(NEW).await;
    assert_eq!(app.follow_link(&first, &[]).await.status, 200);
    assert_eq!(desk.get(&path).await.ok()["email"], NEW);
}

async fn whoever_changes_a_password_is_told(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let (shop, _) = shop(&app, "closed").await;
    Account::new(&app, &shop).await.change_password(NEW_PASSWORD).await.ok();
    let told = mailbox.one(&app, "alice@example.com").await;
    assert_eq!(told.subject, "Your password for shop has been changed");
}

async fn other_projects_see_no_invitations(engine: Engine) {
    let (app, mailbox) = TestApp::with_mailbox(engine).await;
    let (shop, _) = shop(&app, "invitation").await;
    let other = app.shop("other", "confidential").await;
    let key = app.key(Some(other.project), "admin").await;
    policy(&app, &key, "other", "invitation").await;
    let (desk, theirs) = (app.desk(&shop, "admin").await, app.desk(&other, "admin").await);
    let made = invite(&desk, json!({"email": NEW})).await;
    let link = link_of(&app, &mailbox.one(&app, NEW).await);
    assert_eq!(theirs.get("/invitations").await.ok()["items"], json!([]));
    assert_eq!(theirs.delete(&format!("/invitations/{}", made["id"].as_str().unwrap())).await.status, 404);
    assert_eq!(theirs.on(&shop).get("/invitations").await.status, 401);
    assert_eq!(desk.on(&other).post("/invitations", json!({"email": NEW})).await.status, 401);
    let there = link.replace("/projects/shop/", "/projects/other/");
    assert_eq!(Seen::of(app.http.get(there).send().await.unwrap()).await.message(), GONE);
}
