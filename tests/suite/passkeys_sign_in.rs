//! A passkey alone signs in at the page: over HTTP, by an authenticator in software.

use reqwest::Response;
use serde_json::{Value, json};
use tessera::projects;
use tessera::secret::Secret;

use crate::support::{
    Engine, PASSWORD, Seen, Shop, SoftPasskey, TestApp, Tokens, Way, between, both_engines, code_of,
    cookie_of, sealed_of,
};

both_engines!(
    a_passkey_alone_signs_in,
    what_is_no_passkey_here_signs_nobody_in,
    an_answer_is_for_its_own_page,
    a_sign_out_overtakes_it,
    only_where_the_project_says_so,
    as_the_second_factor,
    a_reset_takes_them_away,
);

/// What a sign-in page asks the browser, and the cookie that it is bound to.
struct Asking {
    cookie: String,
    request: String,
    challenge: String,
    options: Value,
}

async fn asking(app: &TestApp, shop: &Shop) -> Asking {
    let page = app.http.get(app.authorize_url(shop, "&scope=openid+profile")).send().await.unwrap();
    let cookie = cookie_of(&page);
    let page = Seen::of(page).await;
    assert!(page.text.contains(r#"autocomplete="username webauthn""#), "{}", page.text);
    let options = between(&page.text, r#"data-options=""#, "\"");
    let options = options.replace("&#34;", "\"").replace("&quot;", "\"");
    Asking {
        cookie,
        request: sealed_of(&page.text),
        challenge: between(&page.text, r#"name="challenge" value=""#, "\"").to_owned(),
        options: serde_json::from_str(&options).unwrap(),
    }
}

async fn post(app: &TestApp, shop: &Shop, asking: &Asking, credential: &Value) -> Response {
    let form = [
        ("request", asking.request.as_str()),
        ("challenge", &asking.challenge),
        ("credential", &credential.to_string()),
    ];
    let url = app.project_url(shop, "/sign-in/passkey");
    app.http.post(url).header("cookie", &asking.cookie).form(&form).send().await.unwrap()
}

pub const REFUSED: &str = "That passkey does not sign you in here.";

/// Alice of a project, with a passkey.
async fn alice(app: &TestApp, slug: &str, way: &Way) -> (Shop, SoftPasskey) {
    let shop = app.shop(slug, "confidential").await;
    let token = app.sign_in(&shop).await.get("access_token").to_owned();
    let passkey = app.new_passkey(&shop, &token, way).await;
    (shop, passkey)
}

async fn a_passkey_alone_signs_in(engine: Engine) {
    let app = TestApp::named(engine).await;
    for (slug, synced, key) in [("bound", false, "hwk"), ("synced", true, "swk")] {
        let (shop, mut passkey) = alice(&app, slug, &Way { synced, ..Way::default() }).await;
        let asking = asking(&app, &shop).await;
        let credential = passkey.answer(&asking.options, &Way::default());
        let done = post(&app, &shop, &asking, &credential).await;
        assert_ne!(cookie_of(&done), asking.cookie);
        let tokens = Tokens(app.exchange(&shop, &code_of(&done)).await.ok());
        let verdict = app.verify(&shop, tokens.get("access_token")).await;
        let claims = &verdict["claims"];
        assert_eq!((&claims["amr"], &claims["acr"]), (&json!([key, "user", "mfa"]), &json!("phr")));
        assert_eq!(claims["auth_time"], app.app.clock.now().unix());
        // The same once more is no sign-in, with the cookie of before as well.
        let again = Seen::of(post(&app, &shop, &asking, &credential).await).await;
        again.asks_again(400, REFUSED);
    }
}

async fn what_is_no_passkey_here_signs_nobody_in(engine: Engine) {
    let app = TestApp::named(engine).await;
    let (shop, mut passkey) = alice(&app, "shop", &Way::default()).await;
    let (_, mut foreign) = alice(&app, "other", &Way::default()).await;
    let here = asking(&app, &shop).await;
    let normal = Way::default();
    let wrong = [
        foreign.answer(&here.options, &normal),
        passkey.answer(&here.options, &Way { unverified: true, ..normal.clone() }),
        passkey.answer(&here.options, &Way { origin: Some("https://evil.example"), ..normal.clone() }),
        passkey.answer(&here.options, &Way { handle: Some(None), ..normal.clone() }),
        json!({}),
    ];
    for credential in wrong {
        let page = Seen::of(post(&app, &shop, &here, &credential).await).await;
        page.asks_again(400, REFUSED);
    }
    let good = passkey.answer(&here.options, &normal);
    code_of(&post(&app, &shop, &here, &good).await);
}

async fn an_answer_is_for_its_own_page(engine: Engine) {
    let app = TestApp::named(engine).await;
    let (shop, mut passkey) = alice(&app, "shop", &Way::default()).await;
    let (mine, theirs) = (asking(&app, &shop).await, asking(&app, &shop).await);
    let credential = passkey.answer(&mine.options, &Way::default());
    // Somebody's answer, posted by another browser: with its own form, with all of the other's, with the other's cookie.
    let own_form = Asking { challenge: mine.challenge.clone(), options: Value::Null, ..theirs };
    Seen::of(post(&app, &shop, &own_form, &credential).await).await.asks_again(400, REFUSED);
    let foreign_form = Asking { request: mine.request.clone(), ..own_form };
    let stale = "It was open for too long, or was made for another browser. Nothing has been lost.";
    Seen::of(post(&app, &shop, &foreign_form, &credential).await).await.refused(400, stale);
    // From another site.
    let form = [("request", mine.request.as_str()), ("challenge", &mine.challenge)];
    let url = app.project_url(&shop, "/sign-in/passkey");
    let forged = app.http.post(url).header("cookie", &mine.cookie).header("sec-fetch-site", "cross-site");
    assert_eq!(forged.form(&form).send().await.unwrap().status(), 400);
    code_of(&post(&app, &shop, &mine, &credential).await);
}

/// A passkey was shown before the person was signed out everywhere; the page that it was shown at is worth nothing after.
async fn a_sign_out_overtakes_it(engine: Engine) {
    let app = TestApp::named(engine).await;
    let (shop, mut passkey) = alice(&app, "shop", &Way::default()).await;
    let desk = app.desk(&shop, "admin").await;
    let here = asking(&app, &shop).await;
    let credential = passkey.answer(&here.options, &Way::default());
    desk.patch(&format!("/users/{}", shop.user), json!({"status": "disabled"})).await.ok();
    Seen::of(post(&app, &shop, &here, &credential).await).await.asks_again(400, REFUSED);
}

async fn only_where_the_project_says_so(engine: Engine) {
    let app = TestApp::named(engine).await;
    let (shop, mut passkey) = alice(&app, "shop", &Way::default()).await;
    let before = asking(&app, &shop).await;
    let owner = app.admin_key(None, "owner").await;
    let policy = json!({"settings": {"sign_in": {"passkey_sign_in": false}}});
    app.admin_patch(&owner, "/projects/shop", policy).await.ok();
    let page = app.http.get(app.authorize_url(&shop, "")).send().await.unwrap();
    let page = Seen::of(page).await;
    assert!(!page.text.contains("passkey") && !page.text.contains("<script"), "{}", page.text);
    let credential = passkey.answer(&before.options, &Way::default());
    let refused = Seen::of(post(&app, &shop, &before, &credential).await).await;
    assert_eq!((refused.status, refused.headers.get("set-cookie")), (400, None));
}

/// Beside the password, which alone is not enough for whoever has one.
async fn as_the_second_factor(engine: Engine) {
    let app = TestApp::named(engine).await;
    let (shop, mut passkey) = alice(&app, "shop", &Way::default()).await;
    projects::create_user(&app.app, shop.project, "bob", None, Secret::new(PASSWORD)).await.unwrap();
    let bobs = app.sign_in_as(&shop, "bob").await.get("access_token").to_owned();
    let mut of_bob = app.new_passkey(&shop, &bobs, &Way::default()).await;
    let alone = asking(&app, &shop).await;
    let middle = app.half_signed_in(&shop, "&scope=openid").await;
    let options =
        between(&middle.page.text, r#"data-options=""#, "\"").replace("&#34;", "\"").replace("&quot;", "\"");
    let options: Value = serde_json::from_str(&options).unwrap();
    assert_eq!(options["allowCredentials"].as_array().unwrap().len(), 1);
    let challenge = between(&middle.page.text, r#"name="challenge" value=""#, "\"").to_owned();
    let show = async |challenge: &str, credential: &Value| {
        let (sealed, credential) = (middle.sealed(), credential.to_string());
        let form = [
            ("request", sealed.as_str()),
            ("factor", "passkey"),
            ("challenge", challenge),
            ("credential", &credential),
        ];
        app.post_page(&shop, "/second-factor", &middle.cookie, &form).await
    };
    // Another person's, and a good answer to the question of the sign-in page.
    let foreign = of_bob.answer(&options, &Way::default());
    Seen::of(show(&challenge, &foreign).await).await.asks_again(400, REFUSED);
    let elsewhere = passkey.answer(&alone.options, &Way::default());
    Seen::of(show(&alone.challenge, &elsewhere).await).await.asks_again(400, REFUSED);
    let good = passkey.answer(&options, &Way::default());
    // Nor does the answer of the second factor sign anybody in alone.
    let crossed = Asking { challenge: challenge.clone(), ..alone };
    Seen::of(post(&app, &shop, &crossed, &good).await).await.asks_again(400, REFUSED);
    let done = show(&challenge, &good).await;
    let tokens = Tokens(app.exchange(&shop, &code_of(&done)).await.ok());
    let verdict = app.verify(&shop, tokens.get("access_token")).await;
    assert_eq!(verdict["claims"]["amr"], json!(["pwd", "hwk", "user", "mfa"]));
    assert_eq!(show(&challenge, &good).await.status(), 400);
}

/// An admin's reset leaves no way in by a passkey, and the owner is told of what comes and goes.
async fn a_reset_takes_them_away(engine: Engine) {
    let app = TestApp::named(engine).await;
    let (shop, mut passkey) = alice(&app, "shop", &Way::default()).await;
    let here = asking(&app, &shop).await;
    let owner = app.admin_key(None, "owner").await;
    let factors = format!("/projects/shop/users/{}/factors", shop.user);
    let listed = app.admin_get(&owner, &factors).await.ok();
    assert_eq!(listed["items"][0]["kind"], "passkey", "{listed}");
    let reset = app.admin_delete(&owner, &factors).await.ok();
    assert_eq!(reset["factors_removed"], 1, "{reset}");
    let credential = passkey.answer(&here.options, &Way::default());
    Seen::of(post(&app, &shop, &here, &credential).await).await.asks_again(400, REFUSED);
    app.sign_in(&shop).await;
}
