//! What strangers try at the hosted pages.

use reqwest::StatusCode;
use tessera::model::client::ClientSettings;
use tessera::secret::{Secret, decode_base64url, encode_base64url};

use crate::support::{
    Engine, PASSWORD, REDIRECT, Seen, Shop, TestApp, both_engines, code_of, cookie_of, location_of,
    parameter, sealed_of,
};

both_engines!(
    // C125
    forms_are_bound,
    // C125
    forged_forms_do_not_open,
    // C125
    posts_from_elsewhere,
    // C030 C031 C034 C130
    redirect_uris_are_exact,
    // C036
    headers_cannot_be_split,
    // C126
    nothing_can_be_framed,
    // C129
    fields_are_given_once,
    passwords_in_other_encodings,
    hosts_are_not_believed,
);

const STALE: &str =
    "This sign-in page is no longer valid. Please go back to the application and start again.";
const OUT_OF_DATE: &str = "It was open for too long, or was made for another browser. Nothing has been lost.";
const INCOMPLETE: &str = "The form is not complete.";

async fn refused(app: &TestApp, shop: &Shop, cookie: &str, sealed: &str, message: &str) -> Seen {
    let page = Seen::of(app.submit(shop, cookie, sealed, PASSWORD).await).await;
    page.refused(400, message);
    page
}

/// RFC 9700, 4.7: a form of another browser, another project or another hour signs nobody in.
async fn forms_are_bound(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let (cookie, sealed) = app.sign_in_page(&shop, "&prompt=login&max_age=5").await;
    let (stranger, theirs) = app.sign_in_page(&shop, "").await;
    let (foreign, foreign_form) = app.sign_in_page(&other, "").await;
    assert_ne!((&cookie, &sealed), (&stranger, &theirs));

    // Another browser's form was ours, so the page offers to start the same request anew, and no more.
    let page = refused(&app, &shop, &stranger, &sealed, OUT_OF_DATE).await;
    let again = page.text.split("href=\"").find(|part| part.contains("/oauth2/authorize?")).unwrap();
    let again = again.split('"').next().unwrap().replace("&#38;", "&");
    let start = app.authorize_url(&shop, "");
    let (_, query) = again.split_once('?').unwrap();
    let asked: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).collect();
    for (name, value) in url::Url::parse(&start).unwrap().query_pairs() {
        assert!(asked.contains(&(name, value)), "{query}");
    }
    assert!(query.ends_with("&prompt=login&max_age=5"), "{query}");
    refused(&app, &shop, &cookie, &theirs, OUT_OF_DATE).await;
    refused(&app, &shop, "", &sealed, OUT_OF_DATE).await;
    // Another project's did not come from here at all.
    for (shop, cookie, sealed) in
        [(&other, &cookie, &sealed), (&other, &foreign, &sealed), (&shop, &foreign, &foreign_form)]
    {
        assert!(!refused(&app, shop, cookie, sealed, STALE).await.text.contains("/oauth2/authorize?"));
    }
    app.app.clock.advance(3599);
    Seen::of(app.submit(&shop, &cookie, &sealed, "wrong").await).await.alert();
    app.app.clock.advance(1);
    refused(&app, &shop, &cookie, &sealed, OUT_OF_DATE).await;
}

async fn forged_forms_do_not_open(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (cookie, sealed) = app.sign_in_page(&shop, "").await;
    let blob = decode_base64url(&sealed).unwrap();
    for place in (0..blob.len()).step_by(7).chain([blob.len() - 1]) {
        let mut altered = blob.clone();
        altered[place] ^= 1;
        refused(&app, &shop, &cookie, &encode_base64url(&altered), STALE).await;
    }
    for text in ["", "AAAA", "e30", &sealed[..sealed.len() - 4], &format!("{sealed}AAAA"), "../../etc/passwd"]
    {
        refused(&app, &shop, &cookie, text, STALE).await;
    }
    // None of this has spoilt the real one.
    assert_eq!(app.submit(&shop, &cookie, &sealed, PASSWORD).await.status(), StatusCode::SEE_OTHER);
}

async fn posts_from_elsewhere(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (cookie, sealed) = app.sign_in_page(&shop, "").await;
    let post = |site: &'static str| {
        let form = [("request", sealed.as_str()), ("username", "alice"), ("password", PASSWORD)];
        let request = app.http.post(app.project_url(&shop, "/sign-in")).header("cookie", &cookie);
        request.header("sec-fetch-site", site).form(&form).send()
    };
    for site in ["cross-site", "same-site"] {
        Seen::of(post(site).await.unwrap()).await.refused(400, STALE);
    }
    assert_eq!(post("same-origin").await.unwrap().status(), StatusCode::SEE_OTHER);
}

/// RFC 9700, 4.1.3 and 4.11: one string, compared byte by byte.
async fn redirect_uris_are_exact(engine: Engine) {
    let app = TestApp::new(engine).await;
    let registered = "https://app.example/cb?tenant=1";
    let settings = ClientSettings {
        redirect_uris: vec![registered.into()],
        require_pkce: false,
        ..ClientSettings::default()
    };
    let shop = app.shop_with("shop", "confidential", settings).await;
    let authorize = app.project_url(&shop, "/oauth2/authorize");
    let ask = |uri: &str| {
        let query =
            [("response_type", "code"), ("client_id", &shop.id), ("redirect_uri", uri), ("prompt", "none")];
        app.http.get(&authorize).query(&query).send()
    };
    let redirected = ask(registered).await.unwrap();
    assert!(
        redirected.headers()["location"]
            .to_str()
            .unwrap()
            .starts_with(&format!("{registered}&error=login_required&"))
    );
    for uri in [
        "https://app.example/cb",
        "https://app.example/cb?",
        "https://app.example/cb?tenant=2",
        "https://app.example/cb?tenant=1&next=x",
        "https://app.example/cb?tenant=1#",
        "https://app.example/cb?tenant=1#fragment",
        "https://app.example/cb/?tenant=1",
        "https://app.example/./cb?tenant=1",
        "https://app.example/x/../cb?tenant=1",
        "https://app.example/x/%2e%2e/cb?tenant=1",
        "https://app.example/%63b?tenant=1",
        "https://app.example//cb?tenant=1",
        "https://APP.example/cb?tenant=1",
        "HTTPS://app.example/cb?tenant=1",
        "https://app.example/CB?tenant=1",
        "https://app.example:443/cb?tenant=1",
        "https://app.example./cb?tenant=1",
        "https://app.example\\@evil.example/cb?tenant=1",
        "https://app.example@evil.example/cb?tenant=1",
        "https://user@app.example/cb?tenant=1",
        "https://app.example.evil.example/cb?tenant=1",
        "https://evil.example/https://app.example/cb?tenant=1",
        "http://app.example/cb?tenant=1",
        "//app.example/cb?tenant=1",
        "/cb?tenant=1",
        "javascript:alert(1)//https://app.example/cb?tenant=1",
        "https://app.example/cb?tenant=1 ",
        " https://app.example/cb?tenant=1",
        "https://app.example/cb?tenant=1\r\nLocation: https://evil.example",
        "https://app.example/cb?tenant=1\0",
        "https://аpp.example/cb?tenant=1",
    ] {
        let message = "The application asked to return to an address that is not registered.";
        Seen::of(ask(uri).await.unwrap()).await.refused(400, message);
    }
}

/// RFC 9110, 5.5.
async fn headers_cannot_be_split(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let state = "a\r\nSet-Cookie: evil=1\r\n\r\n<script>&#?=\u{2028}\0";
    let query = [
        ("response_type", "code"),
        ("client_id", shop.id.as_str()),
        ("redirect_uri", REDIRECT),
        ("state", state),
    ];
    let page = app.http.get(app.project_url(&shop, "/oauth2/authorize")).query(&query).send().await.unwrap();
    let (cookie, sealed) = (cookie_of(&page), sealed_of(&page.text().await.unwrap()));
    let signed_in = app.submit(&shop, &cookie, &sealed, PASSWORD).await;
    let denied = app.http.get(app.project_url(&shop, "/oauth2/authorize")).query(&query);
    let denied = denied.query(&[("prompt", "none")]).send().await.unwrap();
    for (answer, cookies) in [(signed_in, 2), (denied, 0)] {
        assert_eq!(answer.headers().get_all("set-cookie").iter().count(), cookies);
        let url = location_of(&answer);
        assert_eq!(parameter(&url, "state").as_deref(), Some(state), "it comes back to the byte");
        assert!(url.as_str().bytes().all(|b| b.is_ascii_graphic()) && url.fragment().is_none());
    }
}

/// RFC 9700, 4.16. [`Seen::of`] looks at the headers of every page of every test.
async fn nothing_can_be_framed(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, public) = (app.shop("shop", "confidential").await, app.shop("app", "public").await);
    let (_, cookie) = app.code(&shop, "").await;
    let form = app.authorize_url(&shop, "&prompt=login");
    let link = app.project_url(&public, &format!("/sign-in?client_id={}", public.id));
    for url in [form, link, app.project_url(&shop, "/sign-in"), format!("{}/projects/none/sign-in", app.base)]
    {
        Seen::of(app.http.get(url).header("cookie", &cookie).send().await.unwrap()).await;
    }
}

async fn fields_are_given_once(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (cookie, sealed) = app.sign_in_page(&shop, "").await;
    let url = app.project_url(&shop, "/sign-in");
    let post = |kind: &'static str, body: String| {
        app.http.post(&url).header("cookie", &cookie).header("content-type", kind).body(body).send()
    };
    let form = "application/x-www-form-urlencoded";
    let password = PASSWORD.replace(' ', "+");
    let whole = format!("request={sealed}&username=alice&password={password}");
    for (body, message) in [
        (format!("{whole}&password=other"), INCOMPLETE),
        (format!("password=other&{whole}"), INCOMPLETE),
        (format!("{whole}&user%6eame=bob"), INCOMPLETE),
        (format!("{whole}&request={sealed}"), INCOMPLETE),
        (format!("request={sealed}&username=al%FFice&password={password}"), INCOMPLETE),
        (String::new(), STALE),
    ] {
        Seen::of(post(form, body).await.unwrap()).await.refused(400, message);
    }
    for body in
        [format!("request={sealed}&username[]=alice&password[]={password}"), format!("request={sealed}")]
    {
        Seen::of(post(form, body).await.unwrap()).await.alert();
    }
    for kind in ["application/json", "text/plain", "multipart/form-data; boundary=x", ""] {
        let page = Seen::of(post(kind, whole.clone()).await.unwrap()).await;
        page.refused(415, "What was sent is not a form.");
    }
    // The query is no form either.
    let page = app.http.post(format!("{url}?{whole}")).header("cookie", &cookie).header("content-type", form);
    Seen::of(page.send().await.unwrap()).await.refused(400, STALE);
    let huge = Seen::of(post(form, "x".repeat(70_000)).await.unwrap()).await;
    huge.refused(413, "What was sent is larger than 64 KiB.");
    let more = post(form, format!("{whole}&submit=1&password[]=x")).await.unwrap();
    app.exchange(&shop, &code_of(&more)).await.ok();
}

async fn passwords_in_other_encodings(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let password = Secret::new("Pässword 1+%41");
    tessera::projects::create_user(&app.app, shop.project, "bob", None, password).await.unwrap();
    let (cookie, sealed) = app.sign_in_page(&shop, "").await;
    let submit = |password: &'static str| {
        let body = format!("request={sealed}&username=bob&password={password}");
        let post = app.http.post(app.project_url(&shop, "/sign-in")).header("cookie", &cookie);
        post.header("content-type", "application/x-www-form-urlencoded; charset=utf-8").body(body).send()
    };
    for wrong in [
        "P%C3%A4ssword+1+%2541",       // a plus that was decoded twice
        "P%C3%A4ssword+1%2BA",         // a percent sequence that was decoded twice
        "P%25C3%25A4ssword+1%2B%2541", // encoded twice
        "Password+1%2B%2541",          // without the accent
        "P%C3%A4ssword+1%2B%2541%00",  // with an end of its own
        "P%C3%A4ssword+1%2B%2541+",
        "p%C3%A4ssword+1%2B%2541",
        "P%C3%84ssword+1%2B%2541",
        "P%C3%A4ssword%C2%A01%2B%2541", // another kind of space
        "P%00%E4%00s%00s%00w%00o%00r%00d%00+%001%00%2B%00%2541",
    ] {
        let page = Seen::of(submit(wrong).await.unwrap()).await;
        assert_eq!(page.status, 400, "{wrong}");
        let cookie_is_set = page.headers.contains_key("set-cookie");
        assert!(!cookie_is_set || page.keeps_cookie(&cookie), "{wrong}");
    }
    // In Latin-1 it is not a form.
    Seen::of(submit("P%E4ssword+1%2B%2541").await.unwrap()).await.refused(400, INCOMPLETE);
    // The same letters, composed or not.
    for right in ["P%C3%A4ssword%201%2b%2541", "Pa%CC%88ssword+1%2B%2541"] {
        let answer = submit(right).await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{right}");
    }
}

/// Every URL is built from the issuer, never from what the request says.
async fn hosts_are_not_believed(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let evil = |request: reqwest::RequestBuilder| {
        let request = request.header("host", "evil.example").header("x-forwarded-host", "evil.example");
        request.header("forwarded", "host=evil.example").header("x-forwarded-proto", "https")
    };
    let page = Seen::of(evil(app.http.get(app.authorize_url(&shop, ""))).send().await.unwrap()).await;
    assert!(!page.text.contains("evil"));
    let denied = evil(app.http.get(app.authorize_url(&shop, "&prompt=none"))).send().await.unwrap();
    assert_eq!(parameter(&location_of(&denied), "iss"), Some(app.project_url(&shop, "")));
}
