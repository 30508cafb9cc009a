//! The life of a key: next, current, retired, gone; under load, on two nodes, in races and in an emergency.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;
use tessera::jobs::Job;
use tessera::keys::generate::RsaSize;
use tessera::keys::rotate::{Step, prepare, promote, remove, rotate_due};
use tessera::model::signing_key::{
    Alg, MOST_PER_ALG, PUBLISHED_AHEAD_SECONDS, RETIRED_SECONDS, SIGNING_SECONDS,
};

use crate::jobs::{row, run_well};
use crate::keys_support::{change, events, keys, kid, states};
use crate::support::{Engine, Shop, TestApp, both_engines};

both_engines!(
    a_rotation_under_load_ends_no_token,
    an_emergency_removal_bites_at_once,
    the_next_key_takes_over_in_an_emergency,
    races_have_one_winner,
    the_clock_rotates,
    the_job_walks_all_projects,
    refusals,
    another_project_keeps_its_keys,
);

/// The `kid` of what signs for the client now, on this node.
async fn signing_kid(app: &TestApp, shop: &Shop) -> String {
    kid(app.sign_in(shop).await.get("access_token"))
}

// C011
async fn a_rotation_under_load_ends_no_token(engine: Engine) {
    let app = TestApp::new(engine).await;
    let second = app.second_node().await;
    let shop = app.shop("shop", "confidential").await;
    let before = app.sign_in(&shop).await;
    let (stop, rounds) = (AtomicBool::new(false), AtomicUsize::new(0));
    // Each node refreshes and verifies without a pause; every token verifies on the other node.
    let load = async |here: &TestApp, there: &TestApp, mut refresh_token: String| {
        let mut kids = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let tokens = here.refresh(&shop, &refresh_token).await.ok();
            refresh_token = tokens["refresh_token"].as_str().unwrap().to_owned();
            let access_token = tokens["access_token"].as_str().unwrap();
            assert_eq!(there.verify(&shop, access_token).await["active"], true);
            kids.push(kid(access_token));
            rounds.fetch_add(1, Ordering::Relaxed);
        }
        kids
    };
    let some_rounds = async || {
        let enough = rounds.load(Ordering::Relaxed) + 8;
        while rounds.load(Ordering::Relaxed) < enough {
            tokio::task::yield_now().await;
        }
    };
    let rotation = async {
        some_rounds().await;
        let next = prepare(&change!(app, shop.project), Alg::ES256, None).await.unwrap();
        app.app.clock.advance(PUBLISHED_AHEAD_SECONDS);
        assert!(app.published(&shop).await.contains(&next), "published before it signs");
        assert_eq!(signing_kid(&app, &shop).await, kid(before.get("access_token")));
        let step = promote(&change!(second, shop.project), Alg::ES256).await.unwrap();
        let old = kid(before.get("access_token"));
        assert_eq!(step, Step::Promoted { alg: Alg::ES256, kid: next.clone(), retired: old });
        // From the moment promote has returned, no node signs with the old key.
        assert_eq!(signing_kid(&app, &shop).await, next);
        some_rounds().await;
        stop.store(true, Ordering::Relaxed);
        next
    };
    let mut begun = Vec::new();
    for _ in 0..2 {
        begun.push(app.sign_in(&shop).await.get("refresh_token").to_owned());
    }
    let (one, two) = (begun.remove(0), begun.remove(0));
    let (first, other, next) = tokio::join!(load(&app, &second, one), load(&second, &app, two), rotation);
    let old = kid(before.get("access_token"));
    for kids in [first, other] {
        let turn = kids.iter().position(|kid| *kid == next).expect("the next key has signed");
        assert!(
            turn > 0
                && kids[..turn].iter().all(|kid| *kid == old)
                && kids[turn..].iter().all(|kid| *kid == next)
        );
    }
    app.app.clock.advance(5);
    let published = app.published(&shop).await;
    assert!(published.contains(&old) && published.contains(&next));
    assert_eq!(app.verify(&shop, before.get("access_token")).await["active"], true);
    assert_eq!(second.verify(&shop, before.get("access_token")).await["active"], true);
    assert_eq!(
        events(&app.app, shop.project, Some(&next)).await,
        ["signing_key.created", "signing_key.promoted"]
    );
    assert_eq!(
        events(&app.app, shop.project, Some(&old)).await,
        ["signing_key.created", "signing_key.retired"]
    );
}

async fn an_emergency_removal_bites_at_once(engine: Engine) {
    let app = TestApp::new(engine).await;
    let second = app.second_node().await;
    let shop = app.shop("shop", "confidential").await;
    let (tokens, leaked) = (app.sign_in(&shop).await, signing_kid(&second, &shop).await);
    assert_eq!(second.verify(&shop, tokens.get("access_token")).await["active"], true);

    let successor = remove(&change!(app, shop.project), &leaked, "found in a backup").await.unwrap().unwrap();
    for node in [&app, &second] {
        let answer = node.verify(&shop, tokens.get("access_token")).await;
        let detail = "no key of this project has that kid";
        assert_eq!(answer, json!({"active": false, "reason": "unknown_key", "detail": detail}));
        let info = node.bearer(&shop, "userinfofromaccesstoken", tokens.get("access_token"), json!({})).await;
        assert_eq!((info.status, &info.body["reason"]), (401, &json!("unknown_key")));
    }
    // The session is not at fault: it goes on with a new key, and the retry of a lost response does as well.
    for node in [&second, &app] {
        let renewed = node.refresh(&shop, tokens.get("refresh_token")).await.ok();
        assert_eq!(kid(renewed["access_token"].as_str().unwrap()), successor);
        assert_eq!(app.verify(&shop, renewed["access_token"].as_str().unwrap()).await["active"], true);
    }
    app.app.clock.advance(5);
    for node in [&app, &second] {
        assert!(!node.published(&shop).await.contains(&leaked));
    }
    assert_eq!(states(&app.app, shop.project).await, ["ES256 current", "RS256 current"]);
    let said = ["signing_key.created", "signing_key.removed found in a backup"];
    assert_eq!(events(&app.app, shop.project, Some(&leaked)).await, said);
    assert_eq!(
        events(&app.app, shop.project, Some(&successor)).await,
        ["signing_key.created found in a backup"]
    );
    let again = remove(&change!(app, shop.project), &leaked, "").await.unwrap_err();
    assert_eq!((again.code().status(), again.description()), (404, "no such key"));
}

async fn the_next_key_takes_over_in_an_emergency(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let project = shop.project;
    let leaked = signing_kid(&app, &shop).await;
    let next = prepare(&change!(app, project), Alg::ES256, None).await.unwrap();
    assert_eq!(remove(&change!(app, project), &leaked, "").await.unwrap(), Some(next.clone()));
    assert_eq!(signing_kid(&app, &shop).await, next);
    assert_eq!(states(&app.app, project).await, ["ES256 current", "RS256 current"]);
    assert_eq!(events(&app.app, project, Some(&next)).await, ["signing_key.created", "signing_key.promoted"]);

    // A next or retired key goes without a successor.
    let unused = prepare(&change!(app, project), Alg::ES256, None).await.unwrap();
    assert_eq!(remove(&change!(app, project), &unused, "").await.unwrap(), None);
    prepare(&change!(app, project), Alg::ES256, None).await.unwrap();
    app.app.clock.advance(PUBLISHED_AHEAD_SECONDS);
    promote(&change!(app, project), Alg::ES256).await.unwrap();
    assert_eq!(remove(&change!(app, project), &next, "").await.unwrap(), None);
    assert_eq!(states(&app.app, project).await, ["ES256 current", "RS256 current"]);
}

async fn races_have_one_winner(engine: Engine) {
    let app = TestApp::new(engine).await;
    let second = app.second_node().await;
    let shop = app.shop("shop", "confidential").await;
    let project = shop.project;
    let node = |n: usize| if n.is_multiple_of(2) { &app } else { &second };
    let preparing =
        (0..8).map(|n| async move { prepare(&change!(node(n), project), Alg::ES256, None).await });
    let prepared = futures_util::future::join_all(preparing).await;
    assert_eq!(prepared.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for lost in prepared.iter().filter_map(|outcome| outcome.as_ref().err()) {
        let said = (lost.code().status(), lost.description());
        assert_eq!(said, (409, "there is a next key of ES256 already"));
    }
    app.app.clock.advance(PUBLISHED_AHEAD_SECONDS);
    let promoting = (0..8).map(|n| async move { promote(&change!(node(n), project), Alg::ES256).await });
    let promoted = futures_util::future::join_all(promoting).await;
    assert_eq!(promoted.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(states(&app.app, project).await, ["ES256 current", "ES256 retired", "RS256 current"]);

    let leaked = signing_kid(&app, &shop).await;
    let removing = (0..4).map(|n| {
        let leaked = &leaked;
        async move { remove(&change!(node(n), project), leaked, "").await }
    });
    let removed = futures_util::future::join_all(removing).await;
    assert_eq!(removed.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(states(&app.app, project).await, ["ES256 current", "ES256 retired", "RS256 current"]);
    let all = events(&app.app, project, None).await;
    let count = |action: &str| all.iter().filter(|event| *event == action).count();
    let counts =
        ["created", "promoted", "retired", "removed"].map(|verb| count(&format!("signing_key.{verb}")));
    assert_eq!(counts, [4, 1, 1, 1]);
}

async fn the_clock_rotates(engine: Engine) {
    let app = TestApp::new(engine).await;
    let second = app.second_node().await;
    let shop = app.shop("shop", "confidential").await;
    let project = shop.project;
    let both = async || {
        let (one, two) = (change!(app, project), change!(second, project));
        let (one, two) = tokio::join!(rotate_due(&one), rotate_due(&two));
        [one.unwrap(), two.unwrap()].concat()
    };
    let algs = |steps: &[Step]| -> Vec<(&str, Alg)> {
        let mut said: Vec<_> = steps
            .iter()
            .map(|step| match step {
                Step::Prepared { alg, .. } => ("prepared", *alg),
                Step::Waiting { alg, .. } => ("waiting", *alg),
                Step::Promoted { alg, .. } => ("promoted", *alg),
                Step::Removed { alg, .. } => ("removed", *alg),
            })
            .collect();
        said.sort_by_key(|(_, alg)| alg.as_str());
        said.reverse();
        said
    };
    let in_both = |verb| vec![(verb, Alg::RS256), (verb, Alg::ES256)];
    app.app.clock.advance(SIGNING_SECONDS - 1);
    assert_eq!(both().await, []);
    app.app.clock.advance(1);
    assert_eq!(algs(&both().await), in_both("prepared"));
    app.app.clock.advance(PUBLISHED_AHEAD_SECONDS - 1);
    assert_eq!(both().await, []);
    app.app.clock.advance(1);
    assert_eq!(algs(&both().await), in_both("promoted"));
    // The longest token that the old key signed is still good for a day.
    app.app.clock.advance(RETIRED_SECONDS - 1);
    assert_eq!(both().await, []);
    assert_eq!(app.published(&shop).await.len(), 4);
    app.app.clock.advance(1);
    assert_eq!(algs(&both().await), in_both("removed"));
    app.app.clock.advance(5);
    assert_eq!(app.published(&shop).await.len(), 2);
    assert_eq!(states(&app.app, project).await, ["ES256 current", "RS256 current"]);
    let all = events(&app.app, project, None).await;
    assert_eq!(all.iter().filter(|event| event.ends_with("its last token has expired")).count(), 2);
    app.sign_in(&shop).await;
}

async fn the_job_walks_all_projects(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shops = [app.shop("shop", "confidential").await, app.shop("other", "confidential").await];
    let outcome = async || {
        run_well(&app.app).await;
        row(&app.app, Job::KeyRotation).await.outcome.unwrap()
    };
    assert_eq!(outcome().await, "ok: nothing was due");
    app.app.clock.advance(SIGNING_SECONDS);
    assert_eq!(outcome().await, "ok: 4 prepared, 0 promoted, 0 removed");
    app.app.clock.advance(PUBLISHED_AHEAD_SECONDS);
    assert_eq!(outcome().await, "ok: 0 prepared, 4 promoted, 0 removed");
    // A project that is switched off loses its old keys as well.
    let off = shops[1].project;
    let switched_off = app.app.db.write(|conn| async move {
        tessera::execute!(&conn, "UPDATE projects SET status = 'disabled' WHERE id = $1", off)
    });
    switched_off.await.unwrap();
    app.app.clock.advance(RETIRED_SECONDS);
    assert_eq!(outcome().await, "ok: 0 prepared, 0 promoted, 4 removed");
    for shop in &shops {
        assert_eq!(states(&app.app, shop.project).await, ["ES256 current", "RS256 current"]);
        assert_eq!(events(&app.app, shop.project, None).await.len(), 10);
    }
}

async fn refusals(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let project = shop.project;
    let said = |error: tessera::error::Error| (error.code().status(), error.description().to_owned());
    let none = prepare(&change!(app, project), Alg::EdDSA, None).await.unwrap_err();
    assert_eq!(said(none), (404, "the project has no EdDSA key".into()));
    let early = "no next key of ES256 is ready to sign";
    assert_eq!(said(promote(&change!(app, project), Alg::ES256).await.unwrap_err()), (409, early.into()));
    prepare(&change!(app, project), Alg::ES256, None).await.unwrap();
    app.app.clock.advance(PUBLISHED_AHEAD_SECONDS - 1);
    assert_eq!(said(promote(&change!(app, project), Alg::ES256).await.unwrap_err()), (409, early.into()));
    assert_eq!(states(&app.app, project).await, ["ES256 current", "ES256 next", "RS256 current"]);
    app.app.clock.advance(1);
    promote(&change!(app, project), Alg::ES256).await.unwrap();

    // A longer RSA key on request, and as long again after that.
    for size in [Some(RsaSize::Bits3072), None] {
        prepare(&change!(app, project), Alg::RS256, size).await.unwrap();
        app.app.clock.advance(PUBLISHED_AHEAD_SECONDS);
        promote(&change!(app, project), Alg::RS256).await.unwrap();
        let keys = keys(&app.app, project).await;
        let key = keys.iter().find(|key| key.is_current() && key.alg == Alg::RS256).unwrap();
        let jwk: serde_json::Value = serde_json::from_str(&key.public_jwk).unwrap();
        assert_eq!(jwk["n"].as_str().unwrap().len(), 512);
    }
    for _ in 2..MOST_PER_ALG {
        prepare(&change!(app, project), Alg::ES256, None).await.unwrap();
        app.app.clock.advance(PUBLISHED_AHEAD_SECONDS);
        promote(&change!(app, project), Alg::ES256).await.unwrap();
    }
    let full = prepare(&change!(app, project), Alg::ES256, None).await.unwrap_err();
    assert_eq!(said(full), (409, "8 keys of ES256 are still published".into()));
}

async fn another_project_keeps_its_keys(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let before = states(&app.app, other.project).await;
    let (foreign, published) = (signing_kid(&app, &other).await, app.published(&other).await);
    let refused = remove(&change!(app, shop.project), &foreign, "").await.unwrap_err();
    assert_eq!((refused.code().status(), refused.description()), (404, "no such key"));
    prepare(&change!(app, shop.project), Alg::ES256, None).await.unwrap();
    app.app.clock.advance(PUBLISHED_AHEAD_SECONDS);
    promote(&change!(app, shop.project), Alg::ES256).await.unwrap();
    app.app.clock.advance(SIGNING_SECONDS);
    rotate_due(&change!(app, shop.project)).await.unwrap();
    let own = signing_kid(&app, &shop).await;
    remove(&change!(app, shop.project), &own, "").await.unwrap();
    assert_eq!(states(&app.app, other.project).await, before);
    assert_eq!(app.published(&other).await, published);
    assert_eq!(signing_kid(&app, &other).await, foreign);
}
