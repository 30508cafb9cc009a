//! `kill -9` at each step of the deletion of a project: it is there as a whole, or it has ended as a whole, and is emptied then.

use serde_json::json;
use tessera::audit::{Verdict, verify};
use tessera::ids::ProjectId;

use crate::delete_user_kill::{Act, Scene, kill};
use crate::jobs::count;
use crate::logout_tokens::told;
use crate::support::{Engine, Shop, both_engines};

both_engines!(the_end_of_a_project_is_killed);

/// Whether it has ended, which is all of these or none.
async fn has_ended(scene: &Scene, shop: &Shop, at: u32) -> bool {
    let (app, project) = (&scene.app.app, shop.project);
    let ended = count(app, project, "confirmations", "state = 'confirmed'").await;
    for (table, condition) in [
        ("audit_log", "action = 'project.deleted'"),
        ("admin_keys", "revoked_at IS NOT NULL"),
        ("users", "EXISTS (SELECT 1 FROM projects p WHERE p.id = project_id AND p.status = 'deleted')"),
        ("endings", "of_id = project_id"),
    ] {
        assert_eq!(count(app, project, table, condition).await, ended, "{table}, killed at {at}");
    }
    let event = format!("action = 'project.deleted' AND target = 'project:{project}'");
    assert_eq!(count(app, ProjectId::INSTANCE, "audit_log", &event).await, ended, "killed at {at}");
    for chain in [project, ProjectId::INSTANCE] {
        assert!(matches!(verify(&app.db, chain).await.unwrap(), Verdict::Whole { .. }), "killed at {at}");
    }
    ended == 1
}

async fn the_end_of_a_project_is_killed(engine: Engine) {
    let scene = Scene::new(engine).await;
    let app = &scene.app;
    let (owner, second) = (app.admin_key(None, "owner").await, app.admin_key(None, "owner").await);
    let (mut n, mut killed, mut shops) = (0, true, Vec::new());
    while killed {
        n += 1;
        // Somebody who is told of sessions that end.
        let (shop, receiver) = told(app, &format!("shop-{n}")).await;
        app.sign_in(&shop).await;
        app.admin_key(Some(shop.project), "auditor").await;
        let asked = app.admin_ask_to_delete(&owner, &format!("/projects/{}", shop.slug)).await;
        let id = asked.body["confirmation_id"].as_str().unwrap();
        let path = format!("/projects/{}/confirmations/{id}", shop.slug);
        let by = if asked.body["method"] == "typed" { &owner } else { &second };
        let act = Act::EndProject { key: by.clone(), path: path.clone(), slug: shop.slug.clone() };
        killed = kill(&scene.order(act, n));
        if !has_ended(&scene, &shop, n).await {
            app.admin_post(by, &path, json!({"confirmation": shop.slug})).await.ok();
        }
        assert!(has_ended(&scene, &shop, n).await);
        shops.push((shop, receiver));
    }
    assert!(n > 12, "{n} statements");
    // A node that starts finishes what was begun.
    scene.restart().await;
    app.app.clock.advance(3600);
    scene.restart().await;
    for (shop, _) in &shops {
        assert_eq!(count(&app.app, shop.project, "users", "TRUE").await, 0, "{}", shop.slug);
    }
    let lines = std::fs::read_to_string(scene.ledger()).unwrap();
    let of = |shop: &Shop| lines.lines().filter(|line| line.contains(&shop.project.to_string())).count();
    assert!(shops.iter().all(|(shop, _)| of(shop) == 1) && lines.lines().count() == shops.len(), "{lines}");
}
