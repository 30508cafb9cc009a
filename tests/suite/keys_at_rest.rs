//! What lies in the store: private halves sealed to their place, and moved from one master key to the next.

use serde_json::json;
use tessera::keys::data_key::DataKey;
use tessera::keys::master::{MasterKeys, Place};
use tessera::keys::provide::place;
use tessera::keys::rewrap::{Rewrapped, rewrap};
use tessera::keys::signing::Signer;
use tessera::model::signing_key::{Alg, SigningKey};
use tessera::store::{signing_keys, user_keys};

use crate::jobs_outbox::{enqueue, seen};
use crate::keys_support::{change, keys, kid};
use crate::support::{Engine, TestApp, both_engines, deletion_notice};

both_engines!(
    a_private_half_opens_only_at_its_place,
    rewrapping_moves_to_the_first_master_key,
    store_functions_see_one_project,
);

fn master_keys(text: &str) -> MasterKeys {
    MasterKeys::parse(text).unwrap()
}

async fn a_private_half_opens_only_at_its_place(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let (mine, theirs) = (keys(&app.app, shop.project).await, keys(&app.app, other.project).await);
    for key in &mine {
        let open = |project, kid: &str| app.app.master_keys.open(&place(project, kid), &key.sealed_private);
        let private = open(shop.project, &key.kid).unwrap();
        Signer::new(key.alg, &key.kid, &private).unwrap();
        assert!(!key.sealed_private.windows(16).any(|window| private.windows(16).next() == Some(window)));
        assert!(open(other.project, &key.kid).is_err());
        assert!(
            theirs
                .iter()
                .chain(&mine)
                .filter(|k| k.kid != key.kid)
                .all(|k| open(shop.project, &k.kid).is_err())
        );
    }
    // A row whose sealed half was exchanged for another project's signs nothing.
    let es256 = |keys: &[SigningKey]| keys.iter().find(|key| key.alg == Alg::ES256).unwrap().clone();
    let (own, foreign) = (es256(&mine), &es256(&theirs).sealed_private);
    let (own_kid, own_sealed) = (&own.kid, &own.sealed_private);
    let swap = app.app.db.write(|conn| async move {
        signing_keys::reseal(&conn, shop.project, own_kid, own_sealed, foreign).await
    });
    assert_eq!(swap.await.unwrap(), 1);
    let (code, _) = app.code(&shop, "").await;
    let answer = app.second_node().await.exchange(&shop, &code).await;
    answer.refused(500, "server_error", "something went wrong on our side");
}

async fn rewrapping_moves_to_the_first_master_key(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    app.shop("other", "confidential").await;
    let (old, new) = (format!("test:{}", "A".repeat(43)), format!("test-2:{}", "E".repeat(43)));
    let (db, entropy, now) = (&app.app.db, &app.app.entropy, app.app.clock.now());
    let both = master_keys(&format!("{new},{old}"));
    let run = async |keys: &MasterKeys| rewrap(db, entropy, keys, now).await.unwrap();
    // Beside two signing keys in each project: the data key of a user, and a letter that waits.
    let data_key = DataKey::generate(entropy).unwrap();
    let wrapped = &data_key.wrap(&app.app.master_keys, entropy, shop.project, shop.user).unwrap();
    let insert = |conn| async move { user_keys::insert(&conn, shop.project, now, shop.user, wrapped).await };
    assert_eq!(db.write(insert).await.unwrap(), 1);
    let letter = enqueue(&app, shop.project, &deletion_notice("Shop", "alice@example.com")).await;
    let (moved, kept, unreadable) = (6, 6, 6);
    assert_eq!(run(&master_keys(&new)).await, Rewrapped { unreadable, ..Rewrapped::default() });
    assert_eq!(run(&both).await, Rewrapped { moved, ..Rewrapped::default() });
    assert_eq!(run(&both).await, Rewrapped { kept, ..Rewrapped::default() });
    let new = master_keys(&new);
    for key in keys(&app.app, shop.project).await {
        let private = new.open(&place(shop.project, &key.kid), &key.sealed_private).unwrap();
        Signer::new(key.alg, &key.kid, &private).unwrap();
        assert!(app.app.master_keys.open(&place(shop.project, &key.kid), &key.sealed_private).is_err());
    }
    let key = db.read(|conn| async move { user_keys::find(&conn, shop.project, shop.user).await });
    let key = DataKey::unwrap(&new, shop.project, shop.user, &key.await.unwrap().unwrap()).unwrap();
    let place = Place { table: "t", project: shop.project, row: "r", column: "c" };
    let blob = data_key.seal(entropy, &place, b"10.0.0.1").unwrap();
    assert_eq!(&key.open(&place, &blob).unwrap()[..], b"10.0.0.1", "it is the same key");
    let body = seen(&app, shop.project, letter).await.sealed_body.unwrap();
    assert!(new.seals_today(&body));
    assert_eq!(run(&new).await, Rewrapped { kept, ..Rewrapped::default() });
}

async fn store_functions_see_one_project(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "confidential").await);
    let before = format!("{:?}", keys(&app.app, other.project).await);
    let theirs = kid(app.sign_in(&other).await.get("access_token"));
    let (theirs, now) = (&theirs, app.app.clock.now());
    let mine = change!(app, shop.project);
    let late = now.plus_seconds(1_000_000_000);
    let done = app.app.db.unit(|conn| async move {
        let project = mine.project;
        let deleted = signing_keys::delete(&conn, project, theirs).await?.is_some();
        let promoted = signing_keys::promote(&conn, project, late, Alg::ES256).await?;
        let retired = signing_keys::retire_current(&conn, project, late, Alg::ES256, late).await?;
        let expired = signing_keys::delete_expired(&conn, project, late).await?.len();
        let sealed = signing_keys::reseal(&conn, project, theirs, b"x", b"y").await?;
        Ok::<_, tessera::error::Error>(json!([deleted, promoted, retired, expired, sealed]))
    });
    assert_eq!(done.await.unwrap(), json!([false, null, null, 0, 0]));
    assert_eq!(format!("{:?}", keys(&app.app, other.project).await), before);
    app.sign_in(&other).await;
}
