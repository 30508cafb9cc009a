//! Whoever is refused may come again as often as they like, and fills no log with it.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tessera::audit::{Verdict, verify};
use tessera::events::flush;

use crate::support::{Deleting, Engine, TestApp, admin_key, both_engines, number};

both_engines!(one_actor_leaves_a_bounded_number, by_the_wrong_admin, of_many_at_once);

/// The details of such entries, the oldest first.
async fn left(app: &TestApp, key: &str, slug: &str, action: &str) -> Vec<Value> {
    let path = format!("/projects/{slug}/audit?action={action}&order=asc&limit=200");
    let read = app.admin_get(key, &path).await.ok();
    read["items"].as_array().unwrap().iter().map(|event| event["detail"].clone()).collect()
}

async fn one_actor_leaves_a_bounded_number(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let owner = app.admin_key(None, "owner").await;
    let everywhere = app.admin_key(None, "auditor").await;
    let why = "the role auditor may not do this";
    let of_shop = Deleting::new(&app, &shop).await;
    let weak = of_shop.by(&app, &everywhere);
    for _ in 0..18 {
        weak.ask().await.refused(403, "forbidden", why);
    }
    // All that is refused of one actor counts together.
    let client = format!("/projects/shop/clients/{}", shop.id);
    for _ in 0..6 {
        app.admin_ask_to_delete(&everywhere, &client).await.refused(403, "forbidden", why);
        app.admin_ask_to_delete(&everywhere, "/projects/shop").await.refused(403, "forbidden", why);
    }
    assert_eq!(left(&app, &owner, "shop", "user.deletion_refused").await, vec![json!({"why": "role"}); 18]);
    assert_eq!(left(&app, &owner, "shop", "client.deletion_refused").await, [json!({"why": "role"})]);
    let last = json!({"why": "role", "further": "not recorded within the hour"});
    assert_eq!(left(&app, &owner, "shop", "project.deletion_refused").await, [last]);
    // Another project and another actor have their own.
    let of_other = Deleting::new(&app, &other).await;
    of_other.by(&app, &everywhere).ask().await.refused(403, "forbidden", why);
    assert_eq!(left(&app, &owner, "other", "user.deletion_refused").await.len(), 1);
    let manager = admin_key(&app, shop.project, "user_manager").await;
    of_shop.by(&app, &manager).ask().await.refused(403, "forbidden", "the role user_manager may not do this");
    assert_eq!(left(&app, &owner, "shop", "user.deletion_refused").await.len(), 19);
    // The stream has all of them, and not where they came from: it could not forget that with an admin who is a person.
    flush(&app.app).await.unwrap();
    let noted = app.admin_get(&owner, "/projects/shop/events?kind=deletion&limit=200").await.ok();
    let noted = noted["items"].as_array().unwrap();
    assert_eq!(noted.len(), 31);
    let bare = |event: &Value| event["user"].is_null() && event["personal"].is_null();
    assert!(noted.iter().all(|event| event["outcome"] == "refused" && bare(event)));
    // An hour later it begins anew.
    app.app.clock.advance(3599);
    weak.ask().await.refused(403, "forbidden", why);
    assert_eq!(left(&app, &owner, "shop", "user.deletion_refused").await.len(), 19);
    app.app.clock.advance(1);
    weak.ask().await.refused(403, "forbidden", why);
    assert_eq!(left(&app, &owner, "shop", "user.deletion_refused").await.len(), 20);
    assert!(matches!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { .. }));
}

async fn by_the_wrong_admin(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let admin = Deleting::new(&app, &shop).await;
    admin.settings(json!({"deletion_confirmation": "second_person"})).await;
    let id = admin.asked().await;
    let own = "another admin's key has to confirm this deletion";
    for _ in 0..25 {
        admin.confirm(&id, "alice").await.refused(403, "forbidden", own);
    }
    let failed = left(&app, &admin.key, "shop", "user.deletion_confirmation_failed").await;
    assert_eq!(failed.len(), 20);
    assert_eq!(failed[18]["further"], Value::Null);
    assert_eq!(failed[19]["further"], "not recorded within the hour");
    // What is done is recorded, whatever was refused before.
    let key = admin_key(&app, shop.project, "admin").await;
    assert_eq!(admin.by(&app, &key).confirm(&id, "alice").await.ok()["state"], "executed");
    assert_eq!(left(&app, &key, "shop", "user.deleted").await.len(), 1);
}

async fn of_many_at_once(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let auditor = admin_key(&app, shop.project, "auditor").await;
    let node = app.second_node().await;
    let admin = Deleting::new(&app, &shop).await;
    let (here, there) = (admin.by(&app, &auditor), admin.by(&node, &auditor));
    let asks = (0..30).map(|n| if n % 2 == 0 { here.ask() } else { there.ask() });
    for answer in join_all(asks).await {
        answer.refused(403, "forbidden", "the role auditor may not do this");
    }
    let written = "SELECT count(*) AS n FROM audit_log WHERE action = 'user.deletion_refused'";
    assert_eq!(number(&app.app.db, written).await, 20);
    assert!(matches!(verify(&app.app.db, shop.project).await.unwrap(), Verdict::Whole { .. }));
}
