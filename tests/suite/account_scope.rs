//! The scope `account`: for first-party clients that are registered for it, and nobody else's application.

use serde_json::json;
use tessera::model::client::ClientSettings;

use crate::support::{Engine, REDIRECT, TestApp, Tokens, both_engines, location_of, parameter};

both_engines!(not_for_others, granted_where_it_is_registered, gone_with_the_first_party);

fn settings(first_party: bool, scope: Option<&str>) -> ClientSettings {
    ClientSettings {
        redirect_uris: vec![REDIRECT.into()],
        require_pkce: false,
        first_party,
        scope: scope.map(str::to_owned),
        ..ClientSettings::default()
    }
}

async fn not_for_others(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop_with("shop", "confidential", settings(false, None)).await;
    // With a browser that is signed in, and before anybody has signed in.
    let own = app.second_client(&shop, settings(true, None)).await;
    let (_, cookie) = app.code(&own, "").await;
    for cookie in [cookie.as_str(), "none=1"] {
        let asked = app.http.get(app.authorize_url(&shop, "&scope=openid+account")).header("cookie", cookie);
        let url = location_of(&asked.send().await.unwrap());
        assert_eq!(parameter(&url, "error").as_deref(), Some("invalid_scope"), "{url}");
        let why = "the scope account is for first-party clients";
        assert_eq!(parameter(&url, "error_description").as_deref(), Some(why));
        assert_eq!((parameter(&url, "state").as_deref(), parameter(&url, "code")), (Some("s1"), None));
    }
    let desk = app.desk(&shop, "admin").await;
    let bound = "scope names account for a first-party client only";
    let new = json!({"client_name": "x", "type": "public", "first_party": false, "scope": "openid account"});
    desk.post("/clients", new).await.refused_for(400, "invalid_request", "scope", bound);
    let client = format!("/clients/{}", shop.id);
    let change = json!({"scope": "openid account"});
    desk.patch(&client, change).await.refused_for(400, "invalid_request", "scope", bound);
}

async fn granted_where_it_is_registered(engine: Engine) {
    let app = TestApp::new(engine).await;
    for (slug, scope, granted) in
        [("bare", None, "openid"), ("named", Some("openid account"), "openid account")]
    {
        let shop = app.shop_with(slug, "confidential", settings(true, scope)).await;
        let (code, _) = app.code(&shop, "&scope=openid+account").await;
        assert_eq!(app.exchange(&shop, &code).await.ok()["scope"], granted);
    }
}

/// A scope that was granted to a first-party client is worth nothing once it is somebody else's.
async fn gone_with_the_first_party(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop_with("shop", "confidential", settings(true, Some("openid account"))).await;
    let desk = app.desk(&shop, "admin").await;
    let (code, _) = app.code(&shop, "&scope=openid+account").await;
    let tokens = Tokens(app.exchange(&shop, &code).await.ok());
    let client = format!("/clients/{}", shop.id);
    desk.patch(&client, json!({"first_party": false, "scope": "openid"})).await.ok();
    for endpoint in ["attribute-update", "GlobalSignOut"] {
        let refused = app.bearer(&shop, endpoint, tokens.get("access_token"), json!({})).await;
        refused.refused(403, "insufficient_scope", "only first-party clients act on the account");
    }
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["active"], true);
}
