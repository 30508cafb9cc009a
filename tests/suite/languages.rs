//! Pages speak the language that the request asks for, or else the browser, or else English.

use reqwest::header::ACCEPT_LANGUAGE;
use serde_json::{Value, json};
use tessera::model::client::ClientSettings;

use crate::support::{Answer, Engine, PASSWORD, REDIRECT, Seen, TestApp, both_engines, cookie_of, sealed_of};

both_engines!(
    // C021
    the_request_is_heard_before_the_browser,
    forms_go_on_in_their_language,
    errors_are_told_in_the_language,
    pushed_requests_have_a_language,
    devices_are_allowed_in_the_language,
    scopes_are_named_in_the_language,
);

fn language(page: &Seen) -> &str {
    let (_, rest) = page.text.split_once("<html lang=\"").unwrap();
    rest.split_once('"').unwrap().0
}

async fn open(app: &TestApp, url: &str, browser: &str) -> Seen {
    Seen::of(app.http.get(url).header(ACCEPT_LANGUAGE, browser).send().await.unwrap()).await
}

async fn the_request_is_heard_before_the_browser(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    for (more, browser, expected, title) in [
        ("", "", "en", "Sign in – shop"),
        ("", "de-AT,de;q=0.9,en;q=0.8", "de", "Anmelden – shop"),
        ("", "fr,zh-CN;q=0.5,en;q=0.1", "zh-Hans", "登录 – shop"),
        ("&ui_locales=de", "zh-CN", "de", "Anmelden – shop"),
        ("&ui_locales=xx+zh-Hans-CN+de", "de", "zh-Hans", "登录 – shop"),
        ("&ui_locales=tlh", "de", "de", "Anmelden – shop"),
        ("&ui_locales=%22%3E%3Cscript%3E", "en;q=x,\"><script>", "en", "Sign in – shop"),
    ] {
        let page = open(&app, &app.authorize_url(&shop, more), browser).await;
        assert_eq!(language(&page), expected, "{more} {browser}");
        assert!(page.text.contains(&format!("<title>{title}</title>")), "{}", page.text);
        assert!(page.text.contains(" dir=\"ltr\">"));
    }
    let discovery = app.http.get(app.project_url(&shop, "/.well-known/openid-configuration"));
    let discovery: Value = discovery.send().await.unwrap().json().await.unwrap();
    assert_eq!(discovery["ui_locales_supported"], json!(["en", "de", "zh-Hans"]));
}

async fn forms_go_on_in_their_language(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let first =
        app.http.get(app.authorize_url(&shop, "&ui_locales=de-CH&prompt=login")).send().await.unwrap();
    let cookie = cookie_of(&first);
    let page = Seen::of(first).await;
    assert!(page.text.contains(r#"<input type="hidden" name="ui_locales" value="de">"#), "{}", page.text);
    let submit = async |sealed: &str, password: &str, cookie: &str| {
        let form = [("request", sealed), ("ui_locales", "de"), ("username", "alice"), ("password", password)];
        let request = app.http.post(app.project_url(&shop, "/sign-in")).header("cookie", cookie);
        request.header(ACCEPT_LANGUAGE, "zh").form(&form).send().await.unwrap()
    };
    let again = Seen::of(submit(&sealed_of(&page.text), "wrong", &cookie).await).await;
    assert_eq!(language(&again), "de");
    again.asks_again(400, "Benutzername und Passwort passen nicht zusammen.");
    assert!(again.text.contains("<title>Fehler: Anmelden – shop</title>"));
    // In another browser it is out of date, in German, and so is what follows from there.
    let stale = Seen::of(submit(&sealed_of(&page.text), PASSWORD, "").await).await;
    stale.refused(
        400,
        "Sie war zu lange geöffnet oder wurde für einen anderen Browser erstellt. Es ist nichts verloren.",
    );
    assert!(stale.text.contains("ui_locales=de\">Neu anmelden</a>"), "{}", stale.text);
    let done = submit(&sealed_of(&again.text), PASSWORD, &cookie).await;
    assert_eq!(done.status(), 303);

    // Where nothing was asked for, nothing is carried: the browser says it again.
    let page = open(&app, &app.authorize_url(&shop, ""), "de").await;
    assert!(!page.text.contains("ui_locales"), "{}", page.text);
}

async fn errors_are_told_in_the_language(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let unknown = app.project_url(&shop, "/oauth2/authorize?client_id=nobody");
    let page = open(&app, &unknown, "de").await;
    page.refused(400, "Diese Anwendung ist hier nicht bekannt.");
    assert_eq!(language(&page), "de");
    let page = open(&app, &format!("{unknown}&ui_locales=zh"), "de").await;
    page.refused(400, "此处不认识该应用。");
    // Where there is no project, too.
    let page = open(&app, &format!("{}/projects/nowhere/sign-in", app.base), "de").await;
    page.refused(404, "Unter dieser Adresse gibt es keine Anmeldung.");
    let posted = app.http.post(app.project_url(&shop, "/consent")).header(ACCEPT_LANGUAGE, "de");
    let page = Seen::of(posted.header("content-type", "text/plain").body("x").send().await.unwrap()).await;
    page.refused(415, "Was gesendet wurde, ist kein Formular.");
    // What is told to applications stays English.
    let url = app.authorize_url(&shop, "&ui_locales=de&prompt=none");
    let answer = app.http.get(url).send().await.unwrap();
    let location = answer.headers()["location"].to_str().unwrap();
    assert!(location.contains("error_description=the+person+has+to+sign+in"), "{location}");
}

async fn pushed_requests_have_a_language(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let form = [("response_type", "code"), ("redirect_uri", REDIRECT), ("ui_locales", "de")];
    let pushed =
        app.http.post(app.project_url(&shop, "/oauth2/par")).basic_auth(&shop.id, shop.secret.as_ref());
    let pushed = Answer::of(pushed.form(&form).send().await.unwrap()).await.created();
    let name = pushed["request_uri"].as_str().unwrap().replace(':', "%3A");
    let url = app.project_url(&shop, "/oauth2/authorize");
    let page =
        open(&app, &format!("{url}?client_id={}&request_uri={name}&ui_locales=zh", shop.id), "en").await;
    assert_eq!(language(&page), "de");
}

async fn devices_are_allowed_in_the_language(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.device_shop("shop", "confidential").await;
    let device = app.device(&shop, "openid email").await;
    let page = app.http.get(app.project_url(&shop, "/device?ui_locales=de")).send().await.unwrap();
    let cookie = cookie_of(&page);
    let page = Seen::of(page).await;
    assert!(page.text.contains("<h1>Gerät verbinden</h1>"));
    let enter = async |code: &str| {
        let sealed = sealed_of(&page.text);
        let form = [("request", sealed.as_str()), ("ui_locales", "de"), ("user_code", code)];
        let request = app.http.post(app.project_url(&shop, "/device")).header("cookie", &cookie);
        request.form(&form).send().await.unwrap()
    };
    let wrong = Seen::of(enter("BBBB-BBBB").await).await;
    assert!(wrong.alert().starts_with("Dieser Code ist unbekannt"), "{}", wrong.text);
    let entered = enter(device.get("user_code")).await;
    let form = Seen::of(app.follow(&entered, &cookie).await).await;
    assert!(form.text.contains("<h1>Anmelden</h1>"), "{}", form.text);
    let sealed = sealed_of(&form.text);
    let fields =
        [("request", sealed.as_str()), ("ui_locales", "de"), ("username", "alice"), ("password", PASSWORD)];
    let request = app.http.post(app.project_url(&shop, "/sign-in")).header("cookie", &cookie);
    let signed_in = request.form(&fields).send().await.unwrap();
    let session = cookie_of(&signed_in);
    let confirm = Seen::of(app.follow(&signed_in, &session).await).await;
    assert!(confirm.text.contains("<li>Ihre E-Mail-Adresse sehen</li>"), "{}", confirm.text);
}

async fn scopes_are_named_in_the_language(engine: Engine) {
    let app = TestApp::new(engine).await;
    let settings = ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        require_pkce: false,
        first_party: false,
        ..ClientSettings::default()
    };
    let shop = app.shop_with("shop", "confidential", settings).await;
    let (cookie, sealed) = app.sign_in_page(&shop, "&scope=openid+email").await;
    let form =
        [("request", sealed.as_str()), ("ui_locales", "zh"), ("username", "alice"), ("password", PASSWORD)];
    let request = app.http.post(app.project_url(&shop, "/sign-in")).header("cookie", &cookie);
    let consent = Seen::of(request.form(&form).send().await.unwrap()).await;
    assert!(consent.text.contains("<h1>允许 <bdi>Shop</bdi> 访问？</h1>"), "{}", consent.text);
    assert!(consent.text.contains("<li><bdi>查看您的电子邮件地址</bdi></li>"), "{}", consent.text);
}
