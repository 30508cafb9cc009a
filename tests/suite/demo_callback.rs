//! The page that stands in for an application when there is none.

use crate::support::{Engine, PASSWORD, Seen, Shop, TestApp, both_engines, code_of, cookie_of, sealed_of};
use tessera::demo::{Demo, DemoUser};
use tessera::model::client::ClientSettings;

both_engines!(shows_the_line_that_exchanges_the_code, is_not_there_in_production);

/// A demo that knows no client.
fn demo() -> Demo {
    Demo {
        issuer: String::new(),
        base_url: String::new(),
        project: "demo".into(),
        clients: Vec::new(),
        user: DemoUser { username: "alice".into(), password: PASSWORD.into() },
        admin_key: String::new(),
        database_url: String::new(),
    }
}

async fn shop(app: &TestApp, kind: &str) -> Shop {
    let settings = ClientSettings {
        redirect_uris: vec![format!("{}/projects/demo/demo/callback", app.base)],
        require_pkce: kind == "public",
        ..ClientSettings::default()
    };
    app.shop_with("demo", kind, settings).await
}

async fn shows_the_line_that_exchanges_the_code(engine: Engine) {
    let challenge = "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    for (kind, more) in [("confidential", ""), ("public", challenge)] {
        let app = TestApp::changed(engine, |app| app.demo = Some(demo())).await;
        let shop = shop(&app, kind).await;
        let authorize = format!("/oauth2/authorize?response_type=code&client_id={}{more}", shop.id);
        let page = app.http.get(app.project_url(&shop, &authorize)).send().await.unwrap();
        let (cookie, sealed) = (cookie_of(&page), sealed_of(&page.text().await.unwrap()));
        let answer = app.submit(&shop, &cookie, &sealed, PASSWORD).await;
        let (code, callback) = (code_of(&answer), answer.headers()["location"].to_str().unwrap().to_owned());

        let page = Seen::of(app.http.get(callback).send().await.unwrap()).await;
        let (issuer, id) = (app.project_url(&shop, ""), &shop.id);
        let (credentials, rest) = match kind {
            "public" => ("".into(), format!(r#", "code_verifier": "{verifier}", "client_id": "{id}""#)),
            // Not a client that `dev` has made: its secret is stored as a hash alone.
            _ => (format!("-u \"{id}:$CLIENT_SECRET\" "), "".into()),
        };
        let line = format!(
            "curl -sw '\\n' {issuer}/api/GetTokenFromCode {credentials}-H 'Content-Type: application/json' \
             -d '{{\"code\": \"{code}\", \"redirect_uri\": \"{issuer}/demo/callback\"{rest}}}'"
        );
        assert!(
            page.text.replace("&#34;", "\"").replace("&#39;", "'").contains(&line),
            "{line}\n{}",
            page.text
        );
        let again = format!("href=\"{issuer}/sign-in?client_id={id}{}\"", more.replace('&', "&#38;"));
        assert!(page.text.contains(&again), "{again}\n{}", page.text);
    }
}

async fn is_not_there_in_production(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = shop(&app, "confidential").await;
    let answer = app.http.get(app.project_url(&shop, "/demo/callback?code=tco_x")).send().await.unwrap();
    assert_eq!(answer.status(), 404);
    let app = TestApp::changed(engine, |app| app.demo = Some(demo())).await;
    let shop = self::shop(&app, "confidential").await;
    let see = async |query: &str| {
        let url = app.project_url(&shop, &format!("/demo/callback?{query}"));
        Seen::of(app.http.get(url).send().await.unwrap()).await
    };
    assert!(
        see("error=access_denied&error_description=no").await.text.contains("<code>access_denied</code>")
    );
    // What is pasted into a shell is only what we make.
    for hostile in ["code=';rm+-rf+~;'", "code=$(id)", "code=%60id%60", "code=a%0Ab", ""] {
        assert!(see(hostile).await.text.contains("<h1>Nothing received</h1>"), "{hostile}");
    }
}
