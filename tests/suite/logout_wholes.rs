//! Back-channel logout where many sessions end at once, and where nobody signs out: by displacement, and by the client itself.

use serde_json::{Value, json};
use tessera::ids::FamilyId;
use tessera::jobs::Job;
use tessera::model::client::ClientSettings;
use tessera::store::db::{Conn, execute};

use crate::jobs::{count, row};
use crate::logout_tokens::{claims, deliver, sid, sids, told, told_at};
use crate::support::{Engine, Receiver, Shop, TestApp, Tokens, both_engines, run};

both_engines!(
    a_client_that_ends_is_told_of_each_session,
    a_project_that_ends_tells_all_its_clients,
    a_deleted_project_speaks_once_more,
    a_sandbox_tells_nobody_outside,
    many_sessions_are_told_of_in_batches,
    a_displaced_session_is_told_of,
    a_client_that_revokes_its_own_token_is_told,
);

/// Past the job that owes and the one that delivers; once more, and nothing comes twice.
async fn deliver_all(app: &TestApp) {
    for _ in 0..3 {
        deliver(app).await;
    }
}

fn sorted(tokens: &[&Tokens]) -> Vec<Value> {
    let mut sids: Vec<Value> = tokens.iter().map(|tokens| sid(tokens)).collect();
    sids.sort_by_key(|sid| sid.as_str().map(str::to_owned));
    sids
}

/// A session of the session API, and one that ends with the browser's.
async fn two_sessions(app: &TestApp, shop: &Shop) -> [Tokens; 2] {
    app.app.clock.advance(1);
    let offline = app.sign_in(shop).await;
    let (code, _) = app.code(shop, "&scope=openid").await;
    [offline, app.oauth_exchange(shop, &code).await]
}

async fn a_client_that_ends_is_told_of_each_session(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, server) = told(&app, "shop").await;
    let till_server = Receiver::start().await;
    let quiet = ClientSettings { backchannel_logout_uri: None, ..told_at("") };
    let silent = app.second_client(&shop, quiet).await;
    let till = app.second_client(&shop, told_at(&till_server.url("/"))).await;
    let owner = app.key(None, "owner").await;
    let path = format!("/projects/shop/clients/{}", shop.id);
    let (mut shop, mut expected) = (shop, 0);
    for way in ["disable", "leak", "delete"] {
        let (tills, mine) = (app.sign_in(&till).await, two_sessions(&app, &shop).await);
        // What ended before was told of then.
        app.app.clock.advance(1);
        let over = app.sign_in(&shop).await;
        app.form(&shop, "revoke", &[("token", over.get("refresh_token"))]).await;
        deliver_all(&app).await;
        expected += 1;
        assert_eq!(server.received().len(), expected, "{way}");
        let answer = match way {
            "disable" => app.admin_patch(&owner, &path, json!({"status": "disabled"})).await,
            "leak" => app.admin_post(&owner, &format!("{path}/rotate-secret"), json!({"leaked": true})).await,
            _ => app.admin_delete(&owner, &path).await,
        };
        assert!(answer.status < 300, "{}", answer.body);
        deliver_all(&app).await;
        assert_eq!(sids(&server.received()[expected..]), sorted(&[&mine[0], &mine[1]]), "{way}");
        assert_eq!(claims(server.received().last().unwrap())["aud"], json!(shop.id));
        expected += 2;
        assert_eq!(count(&app.app, shop.project, "endings", "TRUE").await, 0);
        assert_eq!(app.verify(&till, tills.get("access_token")).await["active"], true);
        match way {
            "disable" => drop(app.admin_patch(&owner, &path, json!({"status": "active"})).await.ok()),
            "leak" => shop.secret = answer.body["client_secret"].as_str().map(str::to_owned),
            _ => {}
        }
    }
    assert!(till_server.received().is_empty());
    // Who does not ask to be told leaves nothing to do.
    app.sign_in(&silent).await;
    app.admin_delete(&owner, &format!("/projects/shop/clients/{}", silent.id)).await.ok();
    assert_eq!(count(&app.app, shop.project, "endings", "TRUE").await, 0);
}

/// A rehearsal with the addresses of the live project.
async fn a_sandbox_tells_nobody_outside(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, server) = told(&app, "shop").await;
    run(&app.app.db, "UPDATE projects SET kind = 'sandbox', version = version + 1").await;
    let owner = app.key(None, "owner").await;
    let sessions = two_sessions(&app, &shop).await;
    let ended = app.admin_post(&owner, "/projects/shop/end-all-sessions", json!({})).await;
    assert!(ended.status < 300, "{}", ended.body);
    deliver_all(&app).await;
    assert!(server.received().is_empty());
    let caught = app.admin_get(&owner, "/projects/shop/sandbox/messages").await.ok();
    assert_eq!(caught["items"].as_array().unwrap().len(), sessions.len());
}

async fn a_project_that_ends_tells_all_its_clients(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, server) = told(&app, "shop").await;
    let (other, elsewhere) = told(&app, "other").await;
    let till = app.second_client(&shop, told_at(&server.url("/till"))).await;
    let owner = app.key(None, "owner").await;
    app.sign_in(&other).await;
    let mut expected = 0;
    for way in ["emergency", "disable"] {
        let (mine, tills) = (two_sessions(&app, &shop).await, app.sign_in(&till).await);
        let answer = match way {
            "emergency" => {
                app.admin_post(&owner, "/projects/shop/end-all-sessions", json!({"reason": "a drill"})).await
            }
            _ => app.admin_patch(&owner, "/projects/shop", json!({"status": "disabled"})).await,
        };
        assert!(answer.status < 300, "{}", answer.body);
        deliver_all(&app).await;
        assert_eq!(sids(&server.received()[expected..]), sorted(&[&mine[0], &mine[1], &tills]), "{way}");
        expected += 3;
    }
    assert!(elsewhere.received().is_empty());
    assert_eq!(count(&app.app, shop.project, "endings", "TRUE").await, 0);
}

async fn a_deleted_project_speaks_once_more(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, server) = told(&app, "shop").await;
    let mine = two_sessions(&app, &shop).await;
    let owner = app.key(None, "owner").await;
    let deleted = app.admin_delete(&owner, "/projects/shop").await;
    assert!(deleted.status < 300, "{}", deleted.body);
    deliver_all(&app).await;
    assert_eq!(sids(&server.received()), sorted(&[&mine[0], &mine[1]]));
    assert_eq!(claims(&server.received()[0])["iss"], format!("{}/projects/shop", app.base));
    // Then its rows go, and these with them.
    app.app.clock.advance(1200);
    deliver_all(&app).await;
    for table in ["endings", "outbox", "token_families"] {
        assert_eq!(count(&app.app, shop.project, table, "TRUE").await, 0, "{table}");
    }
    assert_eq!(server.received().len(), 2);
}

async fn many_sessions_are_told_of_in_batches(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, server) = told(&app, "shop").await;
    let tokens = app.sign_in(&shop).await;
    let (now, model): (_, FamilyId) = (app.app.clock.now(), sid(&tokens).as_str().unwrap().parse().unwrap());
    let (project, app_) = (shop.project, &app.app);
    let copy = |conn: Conn| async move {
        for _ in 0..1200 {
            let id: FamilyId = app_.entropy.id(now)?;
            execute!(
                conn,
                "INSERT INTO token_families (project_id, id, client_id, user_id, client_version, offline, scope, audience,
                   auth_time, amr, acr, user_agent, address, seq, rotated_at, mac_key_id, used_at, idle_expires_at,
                   expires_at, project_epoch, client_epoch, user_epoch, created_at, for_resources, first_party,
                   scopes_as_of)
                 SELECT project_id, $1, client_id, user_id, client_version, offline, scope, audience, auth_time, amr, acr,
                   user_agent, address, seq, rotated_at, mac_key_id, used_at, idle_expires_at, expires_at, project_epoch,
                   client_epoch, user_epoch, created_at, for_resources, first_party, scopes_as_of
                 FROM token_families WHERE project_id = $2 AND id = $3",
                id,
                project,
                model
            )?;
        }
        Ok(())
    };
    app.app.db.unit(copy).await.unwrap();
    let owner = app.key(None, "owner").await;
    let path = format!("/projects/shop/clients/{}", shop.id);
    app.admin_patch(&owner, &path, json!({"status": "disabled"})).await.ok();
    assert_eq!(count(&app.app, project, "outbox", "TRUE").await, 0, "the end itself waits for none of them");
    deliver(&app).await;
    assert_eq!(row(&app.app, Job::Endings).await.outcome.unwrap(), "ok: 1201 logout tokens are owed");
    for _ in 0..20 {
        app.app.clock.advance(60);
        deliver(&app).await;
    }
    let mut told = sids(&server.received());
    assert_eq!(told.len(), 1201);
    told.dedup();
    assert_eq!(told.len(), 1201, "each once");
}

async fn a_displaced_session_is_told_of(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, server) = told(&app, "shop").await;
    let owner = app.key(None, "owner").await;
    app.admin_patch(&owner, "/projects/shop", json!({"settings": {"max_families": 2}})).await.ok();
    let mut all = Vec::new();
    for _ in 0..4 {
        app.app.clock.advance(1);
        all.push(app.sign_in(&shop).await);
    }
    deliver_all(&app).await;
    assert_eq!(sids(&server.received()), sorted(&[&all[0], &all[1]]));
    assert_eq!(app.verify(&shop, all[2].get("access_token")).await["active"], true);
}

async fn a_client_that_revokes_its_own_token_is_told(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, server) = told(&app, "shop").await;
    let [first, second] = two_sessions(&app, &shop).await;
    for token in [first.get("refresh_token"), first.get("access_token"), second.get("access_token")] {
        assert_eq!(app.form(&shop, "revoke", &[("token", token)]).await.status, 200);
    }
    deliver_all(&app).await;
    assert_eq!(sids(&server.received()), sorted(&[&first, &second]));
}
