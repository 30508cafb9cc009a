//! Attacks on the forms of the account page: none of them does anything.

use serde_json::json;
use tessera::identity::passwords::Hasher;
use tessera::model::consent::Permission;
use tessera::store::consents;
use tessera::store::db::Conn;

use crate::support::{
    Account, Engine, Held, PASSWORD, Seen, Shop, TestApp, Visit, both_engines, cookie_of, hold_queue, number,
    until_somebody_waits,
};

both_engines!(
    other_sites_post_nothing,
    each_form_is_for_one_address,
    each_form_is_for_one_project,
    each_form_is_for_one_session,
    somebody_elses_session_is_not_there,
    a_form_outlives_no_sign_out,
    what_could_cost_the_account_asks_again,
    two_browsers_at_once,
    while_a_sign_in_waits,
    a_sign_out_in_the_same_moment,
    nothing_is_said_that_was_not_done
);

const NEW: &str = "another long password";

/// Every form: its page, and what it would do.
const FORMS: [(&str, &[(&str, &str)]); 9] = [
    ("/profile", &[("claim.name", "Mallory")]),
    ("/password", &[("current_password", PASSWORD), ("new_password", NEW), ("new_password_again", NEW)]),
    ("/sessions", &[("end", "everywhere")]),
    ("/consents", &[("withdraw", "00000000-0000-7000-8000-000000000000")]),
    ("/factors", &[("remove", "00000000-0000-7000-8000-000000000000")]),
    ("/factors/app", &[("enrolment", "AAAA"), ("code", "000000"), ("name", "Mallory")]),
    ("/email", &[("letter", "change"), ("email", "mallory@example.com")]),
    ("/data", &[]),
    ("/delete", &[("confirmation", "alice")]),
];

async fn shop(app: &TestApp, slug: &str) -> Shop {
    let shop = app.shop(slug, "confidential").await;
    let settings = json!({"settings": {"self_deletion": true}});
    app.desk(&shop, "owner").await.patch("", settings).await.ok();
    // Something that can be withdrawn.
    let (project, user, now) = (shop.project, shop.user, app.app.clock.now());
    let (client, given) = (&shop.id.parse().unwrap(), &Permission::default());
    let put = |conn: Conn| async move { consents::put(&conn, project, now, user, *client, given).await };
    app.app.db.write(put).await.unwrap();
    shop
}

/// Events that any of the forms would leave.
async fn acts(app: &TestApp) -> i64 {
    let sql = "SELECT count(*) AS n FROM audit_log WHERE actor_kind = 'user'";
    number(&app.app.db, sql).await
}

/// A field of a form, or a header.
type Pair<'a> = (&'a str, &'a str);

async fn other_sites_post_nothing(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = shop(&app, "shop").await;
    let (visit, attacker) = (Visit::new(&app, &shop).await, Visit::new(&app, &shop).await);
    for (path, fields) in FORMS {
        let url = app.project_url(&shop, &format!("/account{path}"));
        let sealed = visit.sealed(path).await;
        let theirs = attacker.sealed(path).await;
        let forms: [(&str, Vec<Pair>, &[Pair]); 6] = [
            ("without what it carries", fields.to_vec(), &[]),
            ("made up", [&[("request", "AAAA")], fields].concat(), &[]),
            ("another browser's", [&[("request", theirs.as_str())], fields].concat(), &[]),
            (
                "given twice",
                [&[("request", sealed.as_str()), ("request", sealed.as_str())], fields].concat(),
                &[],
            ),
            (
                "of another site",
                [&[("request", sealed.as_str())], fields].concat(),
                &[("sec-fetch-site", "cross-site")],
            ),
            (
                "of a sibling",
                [&[("request", sealed.as_str())], fields].concat(),
                &[("sec-fetch-site", "same-site")],
            ),
        ];
        for (how, form, headers) in forms {
            let mut request = app.http.post(&url).header("cookie", &visit.cookie).form(&form);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 400, "{path} {how}");
        }
        // Without a cookie, and as something else than a form.
        let form = [&[("request", sealed.as_str())], fields].concat();
        assert_eq!(app.http.post(&url).form(&form).send().await.unwrap().status(), 400, "{path}");
        let other = app.http.post(&url).header("cookie", &visit.cookie).header("content-type", "text/plain");
        assert_eq!(other.body(format!("request={sealed}")).send().await.unwrap().status(), 415, "{path}");
        assert_eq!(app.http.put(&url).header("cookie", &visit.cookie).send().await.unwrap().status(), 405);
    }
    assert_eq!(acts(&app).await, 0);
    assert!(visit.is_signed_in().await && app.try_password(&shop, PASSWORD).await.is_some());
}

async fn each_form_is_for_one_address(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = shop(&app, "shop").await;
    let visit = Visit::new(&app, &shop).await;
    for (of, _) in FORMS {
        let sealed = visit.sealed(of).await;
        for (path, fields) in FORMS.into_iter().filter(|(path, _)| *path != of) {
            let answer = visit.post(path, &sealed, fields).await;
            assert_eq!(answer.status(), 400, "a form of {of} posted to {path}");
        }
        // Nor is it a sign-in, or a logout.
        for path in ["/sign-in", "/sign-out", "/consent", "/select-account"] {
            let form = [("request", sealed.as_str()), ("username", "alice"), ("password", PASSWORD)];
            let post =
                app.http.post(app.project_url(&shop, path)).header("cookie", &visit.cookie).form(&form);
            assert_eq!(post.send().await.unwrap().status(), 400, "a form of {of} posted to {path}");
        }
    }
    assert_eq!(acts(&app).await, 0);
}

async fn each_form_is_for_one_project(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (ours, theirs) = (shop(&app, "ours").await, shop(&app, "theirs").await);
    let (here, there) = (Visit::new(&app, &ours).await, Visit::new(&app, &theirs).await);
    for (path, fields) in FORMS {
        // Another project's form, with either cookie, and with both.
        let sealed = there.sealed(path).await;
        let both = Visit { cookie: format!("{}; {}", here.cookie, there.cookie), ..here };
        for cookie in [&here.cookie, &there.cookie, &both.cookie] {
            let visit = Visit { app: &app, shop: &ours, cookie: cookie.clone() };
            assert_eq!(visit.post(path, &sealed, fields).await.status(), 400, "{path}");
        }
        // Its cookie is nobody's here, under its own name and under ours.
        let value = there.cookie.split_once('=').unwrap().1;
        let renamed = format!("{}={value}", here.cookie.split_once('=').unwrap().0);
        for cookie in [there.cookie.clone(), renamed] {
            let visit = Visit { app: &app, shop: &ours, cookie };
            assert!(!visit.is_signed_in().await);
        }
    }
    assert_eq!(acts(&app).await, 0);
}

/// Somebody else signs in in the same browser while a form is open: the form is not theirs.
async fn each_form_is_for_one_session(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = shop(&app, "shop").await;
    let desk = app.desk(&shop, "user_manager").await;
    desk.post("/users", json!({"username": "bo", "password": PASSWORD})).await.created();
    for (path, fields) in FORMS {
        let visit = Visit::new(&app, &shop).await;
        let sealed = visit.sealed(path).await;
        let page = app.http.get(app.authorize_url(&shop, "&prompt=login")).header("cookie", &visit.cookie);
        let page = page.send().await.unwrap().text().await.unwrap();
        let request = crate::support::sealed_of(&page);
        let signed_in = app.submit_as(&shop, &visit.cookie, &request, ("bo", PASSWORD)).await;
        let bo = Visit { cookie: cookie_of(&signed_in), ..visit };
        for cookie in [&bo.cookie, &visit.cookie] {
            let posted = Visit { app: &app, shop: &shop, cookie: cookie.clone() };
            let answer = posted.post(path, &sealed, fields).await;
            // Out of date, or the sign-in.
            let status = answer.status().as_u16();
            let text = answer.text().await.unwrap();
            assert!(status == 400 || text.contains("current-password"), "{path}: {status} {text}");
        }
        assert!(bo.is_signed_in().await);
    }
    let users = "SELECT count(*) AS n FROM users WHERE status = 'active' AND version = 1";
    assert_eq!(number(&app.app.db, users).await, 2, "nobody has changed");
}

async fn somebody_elses_session_is_not_there(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (ours, theirs) = (shop(&app, "ours").await, shop(&app, "theirs").await);
    let desk = app.desk(&ours, "user_manager").await;
    desk.post("/users", json!({"username": "bo", "password": PASSWORD})).await.created();
    let bo = Account::with(&app, &ours, &app.sign_in_as(&ours, "bo").await);
    let foreign = Account::new(&app, &theirs).await;
    let visit = Visit::new(&app, &ours).await;
    for account in [&bo, &foreign] {
        for session in account.sessions().await {
            let id = session["id"].as_str().unwrap();
            let answer = visit.submit("/sessions", &[("end", id)]).await;
            let seen = Seen::of(answer).await;
            assert!(seen.status == 200 && !seen.text.contains("has ended"), "{}", seen.text);
        }
        assert_eq!(account.reason(&app).await, None);
    }
    for nonsense in ["", "0", "' OR 1=1 --", "../others"] {
        assert_eq!(visit.submit("/sessions", &[("end", nonsense)]).await.status(), 400);
    }
}

async fn a_form_outlives_no_sign_out(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = shop(&app, "shop").await;
    let key = app.key(Some(shop.project), "owner").await;
    for (path, fields) in FORMS {
        let visit = Visit::new(&app, &shop).await;
        let sealed = visit.sealed(path).await;
        let body = json!({"user": shop.user, "end_browser_sessions": true});
        app.bearer(&shop, "GlobalSignOut", &key, body).await.ok();
        let before = acts(&app).await;
        let answer = visit.post(path, &sealed, fields).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert!(answer.text().await.unwrap().contains("current-password"), "{path} asks to sign in");
        assert_eq!(acts(&app).await, before, "{path}");
        app.app.clock.advance(1);
    }
    // An hour is the end of every form.
    let visit = Visit::new(&app, &shop).await;
    let sealed = visit.sealed("/profile").await;
    app.app.clock.advance(3600);
    assert_eq!(visit.post("/profile", &sealed, &[("claim.name", "Al")]).await.status(), 400);
}

async fn what_could_cost_the_account_asks_again(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = shop(&app, "shop").await;
    let visit = Visit::new(&app, &shop).await;
    let mut forms = Vec::new();
    for (path, fields) in FORMS {
        forms.push((path, fields, visit.sealed(path).await));
    }
    app.app.clock.advance(300);
    for (path, fields, sealed) in forms {
        let sensitive =
            ["/email", "/password", "/factors", "/factors/app", "/data", "/delete"].contains(&path);
        let seen = visit.get(path).await.text().await.unwrap();
        assert_eq!(seen.contains("name=\"password\""), sensitive, "{path}");
        if sensitive {
            let answer = visit.post(path, &sealed, fields).await;
            assert!(answer.text().await.unwrap().contains("name=\"password\""), "{path}");
        }
    }
    assert_eq!(acts(&app).await, 0);
    // The sign-in for it is this person's, and leads back.
    let page = visit.get("/data").await;
    let (cookie, sealed) = (cookie_of(&page), crate::support::sealed_of(&page.text().await.unwrap()));
    let answer = app.submit(&shop, &cookie, &sealed, PASSWORD).await;
    assert_eq!(answer.status(), 303);
    assert!(answer.headers()["location"].to_str().unwrap().ends_with("/shop/account/data"));
    let again = Visit { cookie: cookie_of(&answer), ..visit };
    assert_eq!(again.submit("/data", &[]).await.status(), 200);
    assert!(!visit.is_signed_in().await, "the cookie from before is replaced");
}

/// Two browsers change the password at the same moment: one does, and the other is signed out by it.
async fn two_browsers_at_once(engine: Engine) {
    let app = TestApp::new(engine).await;
    let node = app.second_node().await;
    let shop = shop(&app, "shop").await;
    let mut password = PASSWORD.to_owned();
    for round in 0..4 {
        let (one, two) = (app.try_password(&shop, &password).await, app.try_password(&shop, &password).await);
        let here = Visit { app: &app, shop: &shop, cookie: one.unwrap() };
        let there = Visit { app: &node, shop: &shop, cookie: two.unwrap() };
        let new = [format!("here, round {round}"), format!("there, round {round}")];
        let fields = |new: &str| {
            [
                ("current_password", password.clone()),
                ("new_password", new.to_owned()),
                ("new_password_again", new.to_owned()),
            ]
        };
        let post = async |visit: &Visit<'_>, new: &str| {
            let sealed = visit.sealed("/password").await;
            let fields = fields(new);
            let fields: Vec<(&str, &str)> =
                fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            visit.post("/password", &sealed, &fields).await.status().as_u16()
        };
        let (first, second) = tokio::join!(post(&here, &new[0]), post(&there, &new[1]));
        assert_eq!([first, second].iter().filter(|status| **status == 303).count(), 1, "{first} {second}");
        let won = usize::from(first != 303);
        assert_eq!([here.is_signed_in().await, there.is_signed_in().await], [won == 0, won == 1]);
        password.clone_from(&new[won]);
        app.app.clock.advance(1);
    }
}

/// Another browser's sign-in waits in the queue while this one changes the password: it comes to nothing.
async fn while_a_sign_in_waits(engine: Engine) {
    let app = TestApp::new(engine).await;
    let node =
        app.second_node_changed(|app| app.hasher = Hasher::new(&app.entropy, 8, 1, 1, 64).unwrap()).await;
    let shop = shop(&app, "shop").await;
    let visit = Visit::new(&app, &shop).await;
    let form = visit.sealed("/password").await;
    let (cookie, sealed) = node.sign_in_page(&shop, "").await;
    let go = hold_queue(&node.app.hasher, 1).await;
    let changing = async {
        until_somebody_waits(&node.app.hasher).await;
        assert_eq!(visit.post("/password", &form, FORMS[1].1).await.status(), 303);
        drop(go);
    };
    let (answer, ()) = tokio::join!(node.submit(&shop, &cookie, &sealed, PASSWORD), changing);
    assert_eq!(answer.status(), 400);
    let sessions = "SELECT count(*) AS n FROM browser_sessions";
    assert_eq!(number(&app.app.db, sessions).await, 1);
    assert!(visit.is_signed_in().await);
}

/// Each form waits for the row of its user, whose sessions are ended meanwhile.
async fn a_sign_out_in_the_same_moment(engine: Engine) {
    // What is refused before it gets there needs no row.
    for (path, fields) in FORMS.into_iter().filter(|(path, _)| *path != "/factors/app") {
        let app = TestApp::new(engine).await;
        let shop = shop(&app, "shop").await;
        let visit = Visit::new(&app, &shop).await;
        let sealed = visit.sealed(path).await;
        // The user's data key is there.
        visit.submit("/sessions", &[("end", "others")]).await;
        let before = acts(&app).await;
        let (project, user, now) = (shop.project, shop.user, app.app.clock.now());
        let held = Held::new(&app, move |conn| async move {
            tessera::store::users::raise_epochs(&conn, project, now, user, true).await.map(drop)
        });
        let held = held.await;
        let (answer, ()) = tokio::join!(visit.post(path, &sealed, fields), held.commit_when_awaited(&app, 2));
        assert_eq!(answer.status(), 200, "{path}");
        assert!(answer.text().await.unwrap().contains("current-password"), "{path}");
        let asked = i64::from(path == "/delete");
        assert_eq!(
            acts(&app).await,
            before + asked,
            "{path}: a deletion that is asked for, and not confirmed"
        );
        assert!(app.try_password(&shop, PASSWORD).await.is_some(), "{path}");
    }
}

/// A link of somebody else's makes no page say that something was done.
async fn nothing_is_said_that_was_not_done(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = shop(&app, "shop").await;
    let (visit, attacker) = (Visit::new(&app, &shop).await, Visit::new(&app, &shop).await);
    let done = attacker.submit("/profile", &[("claim.name", "Al")]).await;
    let link = done.headers()["location"].to_str().unwrap().to_owned();
    assert!(attacker.follow(done).await.text.contains("is saved"));
    let seen =
        app.http.get(format!("{}{link}", app.base)).header("cookie", &visit.cookie).send().await.unwrap();
    assert!(!seen.text().await.unwrap().contains("is saved"));
    let form = visit.sealed("/profile").await;
    for query in ["request=AAAA", "request=", &format!("request={form}"), "done=ProfileSaved"] {
        let seen = visit.open(&format!("/profile?{query}")).await;
        assert!(!seen.text.contains("role=\"status\""), "{query}");
    }
}
