//! `tessera key`, run as an operator does, beside a serving node.

use crate::keys_support::{events, kid, states};
use crate::support::process::{run, settings_of};
use crate::support::{Engine, TestApp, both_engines};

both_engines!(keys_are_listed_rotated_and_removed, sealed_values_move_to_the_first_master_key);

async fn keys_are_listed_rotated_and_removed(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let tokens = app.sign_in(&shop).await;
    let old = kid(tokens.get("access_token"));
    let settings = settings_of(&app);
    let key = |arguments: &[&str]| run(&[&["key"], arguments].concat(), &settings, "");

    let listed = key(&["list", "--project", "shop"]);
    assert_eq!(listed.code, Some(0));
    assert!(listed.out.lines().any(|line| line.starts_with(&format!("{old}  ES256  current since "))));
    assert_eq!(listed.out.lines().count(), 2);

    let rotated = key(&["rotate", "--project", "shop", "--alg", "ES256"]);
    assert!(rotated.out.starts_with("ES256: ") && rotated.out.contains(" is published; "), "{}", rotated.out);
    let waiting = key(&["rotate", "--project", "shop", "--alg", "ES256"]);
    assert!(waiting.out.starts_with("ES256: the next key may sign from "), "{}", waiting.out);
    let ready = "UPDATE signing_keys SET signs_from = created_at WHERE state = 'next'";
    app.app.db.write(|conn| async move { tessera::execute!(&conn, ready) }).await.unwrap();
    let promoted = key(&["rotate", "--project", "shop", "--alg", "ES256"]);
    assert!(promoted.out.ends_with(&format!(" signs from now on; {old} is retired\n")), "{}", promoted.out);
    let new = kid(app.sign_in(&shop).await.get("access_token"));
    assert!(promoted.out.contains(&new), "the serving node has followed");
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["active"], true);

    // A kid may begin with a hyphen.
    let removed = key(&["remove", "--project", "shop", "--reason", "leaked", "--", &old]);
    assert_eq!((removed.out, removed.code), (format!("{old} is gone\n"), Some(0)), "{}", removed.err);
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["reason"], "unknown_key");
    assert_eq!(
        events(&app.app, shop.project, Some(&old)).await.last().unwrap(),
        "signing_key.removed leaked"
    );
    assert_eq!(states(&app.app, shop.project).await, ["ES256 current", "RS256 current"]);

    let refusals: [(&[&str], &str); 4] = [
        (&["list", "--project", "nobody"], "error: no such project\n"),
        (&["remove", "--project", "shop", "--reason", "x", "nokey"], "error: no such key\n"),
        (&["rotate", "--project", "shop", "--alg", "EdDSA"], "error: the project has no EdDSA key\n"),
        (
            &["rotate", "--project", "shop", "--alg", "RS256", "--rsa-bits", "1024"],
            "error: an RSA key has 2048 or 3072 bits\n",
        ),
    ];
    for (arguments, error) in refusals {
        let said = key(arguments);
        assert_eq!((said.code, said.err.as_str()), (Some(1), error));
    }
}

async fn sealed_values_move_to_the_first_master_key(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let mut settings = settings_of(&app);
    let old = settings.iter().position(|(name, _)| *name == "TESSERA__MASTER_KEY").unwrap();
    settings[old].1 = format!("new:{},{}", "E".repeat(43), settings[old].1);
    let said = run(&["key", "rewrap"], &settings, "");
    assert_eq!((said.out.as_str(), said.code), ("2 sealed again under new, 0 were already\n", Some(0)));
    assert_eq!(run(&["key", "rewrap"], &settings, "").out, "0 sealed again under new, 2 were already\n");
    // With a key that seals nothing of this.
    settings[old].1 = format!("other:{}", "I".repeat(43));
    let said = run(&["key", "rewrap"], &settings, "");
    assert_eq!(said.code, Some(1));
    assert_eq!(said.err, "error: 2 do not open with any configured master key\n");
    assert_eq!(states(&app.app, shop.project).await, ["ES256 current", "RS256 current"]);
}
