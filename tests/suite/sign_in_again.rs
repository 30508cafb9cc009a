//! A further sign-in in a browser that is signed in: what the former session gave follows the same person, and nobody else.

use reqwest::Response;
use tessera::projects;
use tessera::secret::Secret;
use tessera::store::db::{execute, fetch_one};

use crate::support::{Engine, PASSWORD, Shop, TestApp, both_engines, code_of, cookie_of, sealed_of};

both_engines!(codes_and_families_follow_the_same_person, another_person_gets_nothing_of_it);

async fn signs_in_again(app: &TestApp, shop: &Shop, cookie: &str, username: &str) -> Response {
    let page = app.http.get(app.authorize_url(shop, "&prompt=login")).header("cookie", cookie);
    let page = page.send().await.unwrap().text().await.unwrap();
    app.submit_as(shop, cookie, &sealed_of(&page), (username, PASSWORD)).await
}

/// Another code for a browser that is signed in.
async fn silent_code(app: &TestApp, shop: &Shop, cookie: &str) -> String {
    let url = app.authorize_url(shop, "&prompt=none");
    code_of(&app.http.get(url).header("cookie", cookie).send().await.unwrap())
}

/// Families that belong to a browser session which has not ended.
async fn held_by_a_session(app: &TestApp, shop: &Shop) -> i64 {
    let (db, project) = (&app.app.db, shop.project);
    let counted = db.read(|conn| async move {
        let sql =
            "SELECT count(*) FROM token_families f JOIN browser_sessions b ON b.project_id = f.project_id
                     AND b.id = f.browser_session_id WHERE f.project_id = $1 AND b.ended_at IS NULL";
        fetch_one!(conn, (i64,), sql, project)
    });
    counted.await.unwrap().0
}

async fn codes_and_families_follow_the_same_person(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let (code, cookie) = app.code(&shop, "").await;
    app.exchange(&shop, &code).await.ok();
    // Another tab is on its way with its code while this one signs in again.
    let late = silent_code(&app, &shop, &cookie).await;
    let second = signs_in_again(&app, &shop, &cookie, "alice").await;
    app.exchange(&shop, &code_of(&second)).await.ok();
    app.exchange(&shop, &late).await.ok();
    assert_eq!(held_by_a_session(&app, &shop).await, 3);
}

async fn another_person_gets_nothing_of_it(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    projects::create_user(&app.app, shop.project, "bob", None, Secret::new(PASSWORD)).await.unwrap();
    let (code, cookie) = app.code(&shop, "").await;
    let bound = app.exchange(&shop, &code).await.ok();
    let (db, project) = (&app.app.db, shop.project);
    let until_the_session_ends = db.write(|conn| async move {
        execute!(conn, "UPDATE token_families SET offline = FALSE WHERE project_id = $1", project)
    });
    assert_eq!(until_the_session_ends.await.unwrap(), 1);
    let lasting = app.exchange(&shop, &silent_code(&app, &shop, &cookie).await).await.ok();
    let late = silent_code(&app, &shop, &cookie).await;

    let bob = signs_in_again(&app, &shop, &cookie, "bob").await;
    assert_ne!(cookie_of(&bob), cookie);
    app.exchange(&shop, &late).await.refused(
        400,
        "invalid_grant",
        "the code has expired or its sign-in has ended",
    );
    let reason = app.verify(&shop, bound["access_token"].as_str().unwrap()).await;
    assert_eq!(reason["reason"], "session_revoked");
    let token = bound["refresh_token"].as_str().unwrap();
    app.refresh(&shop, token).await.refused(400, "invalid_grant", "the session has ended: session_revoked");
    assert_eq!(app.verify(&shop, lasting["access_token"].as_str().unwrap()).await["active"], true);
    assert_eq!(held_by_a_session(&app, &shop).await, 0);
    app.exchange(&shop, &code_of(&bob)).await.ok();
    assert_eq!(held_by_a_session(&app, &shop).await, 1);
}
