//! Commands that administer a store, beside a node that serves it: what they make works with the next request, and what
//! they end is dead.

use serde_json::{Value, json};
use tessera::model::client::GrantType;

use crate::support::process::{Said, Server, run, settings_of};
use crate::support::{Engine, PASSWORD, REDIRECT, Shop, TestApp, both_engines, code_of};

both_engines!(what_is_made_works_and_what_is_ended_is_dead, denials_say_why, lists_are_whole);

struct Terminal(Vec<(&'static str, String)>);

impl Terminal {
    /// At a machine whose settings are those of the node.
    fn of(app: &TestApp) -> Self {
        let mut settings = settings_of(app);
        settings.push(("TESSERA__BASE_URL", "https://id.example".into()));
        Self(settings)
    }

    fn run(&self, arguments: &[&str], input: &str) -> Said {
        run(arguments, &self.0, input)
    }

    /// What a command shows as JSON.
    fn json(&self, arguments: &[&str], input: &str) -> Value {
        let said = self.run(&[arguments, &["--json"]].concat(), input);
        assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
        serde_json::from_str(&said.out).unwrap()
    }

    fn refused(&self, arguments: &[&str], input: &str, error: &str) {
        let said = self.run(arguments, input);
        assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (Some(1), "", error), "{arguments:?}");
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

async fn what_is_made_works_and_what_is_ended_is_dead(engine: Engine) {
    let mut app = TestApp::new(engine).await;
    let _server = Server::serve(&mut app, &[]);
    let terminal = Terminal::of(&app);
    let project = terminal.json(&["project", "create", "shop", "--name", "The Shop"], "");
    assert_eq!(project["issuer"], "https://id.example/projects/shop");
    let client = terminal.json(
        &["client", "create", "--project", "shop", "--name", "Web", "--redirect-uri", REDIRECT, "--no-pkce"],
        "",
    );
    let id = text(&client["client_id"]);
    assert_eq!(client["login_link"], format!("https://id.example/projects/shop/sign-in?client_id={id}"));
    let user = terminal.json(&["user", "create", "--project", "shop", "alice"], "the first one\n");
    let shop = Shop {
        project: text(&project["id"]).parse().unwrap(),
        slug: "shop".into(),
        secret: Some(text(&client["client_secret"])),
        user: text(&user["id"]).parse().unwrap(),
        id,
    };
    let (cookie, sealed) = app.sign_in_page(&shop, "").await;
    let code = code_of(&app.submit(&shop, &cookie, &sealed, "the first one").await);
    let tokens = app.exchange(&shop, &code).await.ok();

    // A new password signs out everywhere, and the old one is refused.
    let set = ["user", "set-password", "--project", "shop", "Alice"];
    let done = terminal.json(&set, &format!("{PASSWORD}\n"));
    assert_eq!(done["families_ended"], 1);
    assert_eq!(app.verify(&shop, tokens["access_token"].as_str().unwrap()).await["reason"], "signed_out");
    let (cookie, sealed) = app.sign_in_page(&shop, "").await;
    assert_ne!(app.submit(&shop, &cookie, &sealed, "the first one").await.status(), 303);
    let tokens = app.sign_in(&shop).await;

    // A leaked secret: the old one is refused at once, and so is what was granted to the client.
    let rotate = ["client", "rotate-secret", "--project", "shop", &shop.id, "--leaked"];
    let secret = text(&terminal.json(&rotate, "")["client_secret"]);
    assert_eq!(app.refresh(&shop, tokens.get("refresh_token")).await.status, 401);
    let shop = Shop { secret: Some(secret), ..shop };
    assert_eq!(app.verify(&shop, tokens.get("access_token")).await["active"], false);

    // An admin key, until it is revoked.
    let make = ["admin-key", "create", "--name", "ops", "--role", "admin", "--project", "shop"];
    let key = terminal.json(&make, "");
    let url = app.project_url(&shop, &format!("/api/token-validity?client_id={}", shop.id));
    let ask = async || app.http.get(&url).bearer_auth(text(&key["key"])).send().await.unwrap().status();
    assert_eq!(ask().await, 200);
    let listed = terminal.json(&["admin-key", "list"], "");
    assert_eq!((&listed["id"], listed.get("key")), (&key["id"], None));
    terminal.json(&["admin-key", "revoke", &text(&key["id"])], "");
    assert_eq!(ask().await, 401);

    let whole = terminal.run(&["audit", "verify"], "");
    assert_eq!(whole.code, Some(0), "{}", whole.out);
    let count = |sql: &'static str| {
        let db = app.app.db.clone();
        async move { db.read(|conn| async move { tessera::fetch_one!(&conn, (i64,), sql) }).await.unwrap().0 }
    };
    let command_line = count("SELECT count(*) FROM audit_log WHERE actor = 'command_line'").await;
    // The server has made the built-in project.
    let others =
        count("SELECT count(*) FROM audit_log WHERE actor <> 'command_line' AND actor <> 'system:start'")
            .await;
    assert!(command_line >= 7 && others == 0);
}

async fn denials_say_why(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "confidential").await, app.shop("other", "public").await);
    let terminal = Terminal::of(&app);
    let before = terminal.run(&["audit", "verify"], "").out;
    let create = ["user", "create", "--project", "shop"];
    let client = ["client", "create", "--project", "shop", "--name", "Web"];
    let rotate = ["client", "rotate-secret", "--project", "shop"];
    let grants = GrantType::ALL.map(GrantType::as_str).join(", ");
    let unknown_grant = format!("grant type password is not one of {grants}");
    let cases: [(&[&[&str]], &str, &str); 13] = [
        (&[&client, &["--grant-type", "password"]], "", &unknown_grant),
        (
            &[&client, &["--type", "service", "--redirect-uri", "https://shop.example/"]],
            "",
            "redirect_uris is not for a service: no browser comes back to it",
        ),
        (
            &[&["project", "create", "Shop"]],
            "",
            "slug has 2 to 63 of a-z, 0-9 and -, and begins with a letter",
        ),
        (&[&["client", "list", "--project", "nobody"]], "", "no such project"),
        (&[&client, &["--type", "robot"]], "", "type must be confidential, public or service"),
        (&[&create, &["bob"]], "short\n", "password has 8 to 1024 bytes"),
        (&[&create, &["bob"]], "", "the password is read from standard input, and that is empty"),
        (&[&create, &["bob"]], "one line\nand another\n", "standard input holds more than one line"),
        (&[&["user", "set-password", "--project", "shop", "bob"]], "a password\n", "no such user"),
        // Another project's client, and one that has no secret.
        (&[&rotate, &[&other.id]], "", "no such client"),
        (
            &[&["client", "rotate-secret", "--project", "other", &other.id]],
            "",
            "a public client has no secret",
        ),
        (
            &[&rotate, &[&shop.id, "--old-lives-seconds", "2592001"]],
            "",
            "old_secret_lives_seconds must lie between 0 and 2592000",
        ),
        (&[&["admin-key", "revoke", &shop.id]], "", "no such admin key"),
    ];
    for (arguments, input, error) in cases {
        terminal.refused(&arguments.concat(), input, &format!("error: {error}\n"));
    }
    let taken = terminal.run(&["project", "create", "shop"], "");
    assert!(taken.code == Some(1) && taken.out.is_empty(), "{}", taken.out);
    let taken = terminal.run(&[&create[..], &["ALICE"]].concat(), "a password\n");
    assert!(taken.code == Some(1) && taken.out.is_empty(), "{}", taken.out);
    // There is no way to type a password where others see it.
    assert_eq!(terminal.run(&[&create[..], &["bob", "--password", "x"]].concat(), "").code, Some(2));
    // Nothing of this has changed anything.
    assert_eq!(terminal.run(&["audit", "verify"], "").out, before);
}

async fn lists_are_whole(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    let terminal = Terminal::of(&app);
    let projects = terminal.run(&["project", "list"], "");
    assert_eq!(projects.out, format!("shop  active  {}/projects/shop  shop\n", app.app.base_url));
    let clients = terminal.run(&["client", "list", "--project", "shop"], "");
    assert_eq!(clients.out, format!("{}  confidential  active  Shop\n", shop.id));
    assert!(!terminal.run(&["client", "list", "--project", "shop", "--json"], "").out.contains("secret\""));
    // More than are read at a time.
    for number in 0..205 {
        tessera::projects::create_admin_key(&app.app, None, &format!("key {number}"), "auditor")
            .await
            .unwrap();
    }
    let keys = terminal.run(&["admin-key", "list", "--json"], "").out;
    let ids: std::collections::HashSet<_> =
        keys.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].to_string()).collect();
    assert_eq!((keys.lines().count(), ids.len()), (205, 205));
    assert_eq!(terminal.run(&["admin-key", "list", "--project", "shop"], "").out, "");
    let made = terminal.run(&["project", "create", "tiny"], "").out;
    assert!(made.lines().any(|line| line.starts_with("slug ") && line.ends_with(" tiny")), "{made}");
    assert_eq!(json!(made.contains("token_epoch")), json!(false));
}
