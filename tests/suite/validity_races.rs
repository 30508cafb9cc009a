//! A shorter lifetime holds for whoever was exchanging or refreshing while it was set.

use reqwest::Method;
use serde_json::json;
use tessera::ids::{ClientId, ProjectId};
use tessera::model::client::ClientSettings;
use tessera::model::timestamp::Timestamp;
use tessera::store::{clients, families};

use crate::support::{Answer, Engine, Held, REDIRECT, Shop, TestApp, both_engines};

both_engines!(an_exchange_beside_it, a_refresh_that_waits_for_it, judged_again_only_once);

const DAY: i64 = 86_400;

/// What `token-validity` does with a shorter lifetime, in a unit that is kept open.
async fn shortening(app: &TestApp, shop: &Shop) -> Held {
    let (project, id, now): (ProjectId, ClientId, Timestamp) =
        (shop.project, shop.id.parse().unwrap(), app.app.clock.now());
    let found = app.app.db.read(|conn| async move { clients::find(&conn, project, id).await });
    let client = found.await.unwrap().unwrap();
    Held::new(app, move |conn| {
        let mut settings: ClientSettings = client.settings.clone();
        (settings.validity.refresh_token, settings.validity.refresh_idle) = (2 * DAY, DAY);
        let version = client.version;
        async move {
            assert_eq!(clients::update_settings(&conn, project, now, id, version, &settings).await?, 1);
            let version = clients::note_shortening(&conn, project, id).await?;
            families::shorten(&conn, project, now, (id, version), (2 * DAY, DAY)).await.map(drop)
        }
    })
    .await
}

async fn an_exchange_beside_it(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    app.sign_in(&shop).await;
    let (code, _) = app.code(&shop, "").await;
    let held = shortening(&app, &shop).await;
    let tokens = match engine {
        // It does not wait: it writes a family that the shortening does not see.
        Engine::Postgres => {
            let tokens = app.exchange(&shop, &code).await.ok();
            assert_eq!(tokens["refresh_expires_in"], 30 * DAY);
            held.commit().await;
            tokens
        }
        Engine::Sqlite => tokio::join!(app.exchange(&shop, &code), held.commit()).0.ok(),
    };
    app.app.clock.advance(DAY - 10);
    let token = tokens["refresh_token"].as_str().unwrap();
    let next = app.refresh(&shop, token).await.ok();
    assert_eq!(next["refresh_expires_in"], DAY);
    app.app.clock.advance(DAY - 10);
    let next = app.refresh(&shop, next["refresh_token"].as_str().unwrap()).await.ok();
    assert_eq!(next["refresh_expires_in"], 20, "the absolute end came nearer as well");
    app.app.clock.advance(20);
    let expired = "the session has ended: session_expired";
    let token = next["refresh_token"].as_str().unwrap();
    app.refresh(&shop, token).await.refused(400, "invalid_grant", expired);
}

async fn a_refresh_that_waits_for_it(engine: Engine) {
    for refresh_rotation in [Some(true), Some(false)] {
        let app = TestApp::new(engine).await;
        let settings = ClientSettings {
            redirect_uris: vec![REDIRECT.into()],
            require_pkce: false,
            refresh_rotation,
            ..ClientSettings::default()
        };
        let shop = app.shop_with("shop", "confidential", settings).await;
        let tokens = app.sign_in(&shop).await;
        // Old enough for a refresh to move the idle limit, and so near its idle end that shortening takes nothing of it.
        app.app.clock.advance(29 * DAY + DAY / 2);
        let held = shortening(&app, &shop).await;
        let refresh = app.refresh(&shop, tokens.get("refresh_token"));
        let (refreshed, ()) = tokio::join!(refresh, held.commit_when_awaited(&app, 1));
        let refreshed = refreshed.ok();
        assert_eq!(refreshed["refresh_expires_in"], DAY / 2, "the absolute end stays");
        let idle = "SELECT count(*) AS n FROM token_families f JOIN clients c ON c.id = f.client_id
                    WHERE f.client_version = c.version";
        assert_eq!(crate::support::number(&app.app.db, idle).await, 1, "judged by the new version");
    }
}

/// One that was shortened is not held to the lifetime of a new one a second time.
async fn judged_again_only_once(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let desk = app.desk(&shop, "admin").await;
    let tokens = app.sign_in(&shop).await;
    app.app.clock.advance(20 * DAY);
    let url = app.project_url(&shop, &format!("/api/token-validity?client_id={}", shop.id));
    let put = app.http.request(Method::PUT, url).bearer_auth(&desk.key);
    let put = put.json(&json!({"refresh_token": 2, "refresh_idle": 1})).send().await.unwrap();
    assert_eq!(Answer::of(put).await.ok()["families_shortened"], 1);
    // Another change of the client, and the family still has what the shortening left it.
    desk.patch(&format!("/clients/{}", shop.id), json!({"client_name": "Renamed"})).await.ok();
    app.app.clock.advance(DAY / 2);
    let refreshed = app.refresh(&shop, tokens.get("refresh_token")).await.ok();
    assert_eq!(refreshed["refresh_expires_in"], DAY);
}
