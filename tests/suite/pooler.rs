//! PgBouncer in transaction mode: every statement may meet another connection of the server. What is compared is answers,
//! because what goes wrong there goes wrong without an error.

use std::collections::BTreeSet;
use std::fmt::Debug;

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, Row};
use tessera::error::Code;
use tessera::jobs::run_due;
use tessera::projects;
use tessera::secret::Secret;
use tessera::store::db::{Db, fetch_one};

use crate::pooler_script::script;
use crate::support::process::{Server, run, settings_of};
use crate::support::{
    Database, Engine, PASSWORD, Pooler, Shop, TestApp, Tokens, count, create_table, insert, number,
};

/// The pages name the origin, and it is compared with the rest.
const ORIGIN: &str = "http://id.test:8080";

/// One script on two databases made alike: with the pooler between, and without.
#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_the_one_without_a_pooler() {
    let (direct, database) = (Database::new(Engine::Postgres).await, Database::new(Engine::Postgres).await);
    let pooler = Pooler::start(&database, 2);
    let mut transcripts = Vec::new();
    for database in [direct, database.through(&pooler)] {
        let app = TestApp::over(database, |app| app.base_url = ORIGIN.into()).await;
        transcripts.push(script(&app).await);
        run_due(&app.app).await.unwrap();
    }
    let [direct, pooled] = &transcripts[..] else { panic!("two of them") };
    let statuses: BTreeSet<&str> = direct.iter().filter_map(|line| line.lines().nth(1)).collect();
    let all = ["200", "201", "202", "303", "400", "401", "403", "404", "409", "412"];
    assert_eq!((direct.len() > 100, statuses), (true, all.into()), "what the script meets");
    same(direct, pooled);
    leaves_nothing_behind(&pooler.url(&database)).await;
}

fn same<T: PartialEq + Debug>(expected: &[T], found: &[T]) {
    for (expected, found) in expected.iter().zip(found) {
        assert_eq!(expected, found);
    }
    assert_eq!(expected.len(), found.len());
}

/// Neither names of statements nor settings stay on the server's connections for whoever comes next.
async fn leaves_nothing_behind(url: &str) {
    let (mut one, mut other) =
        (PgConnection::connect(url).await.unwrap(), PgConnection::connect(url).await.unwrap());
    let mut seen = Vec::new();
    for conn in [&mut one, &mut other] {
        // Two open transactions are on two connections of the server.
        let look = "BEGIN; SELECT pg_backend_pid() AS pid, (SELECT count(*) FROM pg_prepared_statements) AS named, \
                    current_setting('statement_timeout') || current_setting('lock_timeout') AS limits";
        let row = sqlx::raw_sql(look).fetch_one(&mut *conn).await.unwrap();
        assert_eq!((row.get::<i64, _>("named"), row.get::<String, _>("limits")), (0, "00".into()));
        seen.push(row.get::<i32, _>("pid"));
    }
    assert_ne!(seen[0], seen[1]);
}

/// Twenty requests at once over two connections, again and again, against what a node without the pooler says of the same
/// store: to the byte.
#[tokio::test(flavor = "multi_thread")]
async fn twenty_at_once_read_what_is_theirs() {
    let (app, _pooler, node) = two_nodes(2).await;
    let shop = app.shop("shop", "confidential").await;
    let owner = app.key(None, "owner").await;
    let mut held = Vec::new();
    for n in 0..5 {
        app.app.clock.advance(1);
        let name = format!("person-{n}");
        let user =
            projects::create_user(&app.app, shop.project, &name, None, Secret::new(PASSWORD)).await.unwrap();
        held.push((user.to_string(), app.sign_in_as(&shop, &name).await));
    }
    // Refreshed once, and from then on asked for again and again: the same successor each time.
    for (_, tokens) in &held {
        app.refresh(&shop, tokens.get("refresh_token")).await.ok();
    }
    let asks = |at: &TestApp| reads(at, &shop, &owner, &held);
    let expected = answers(asks(&app), 1).await;
    assert_eq!(expected.len(), 45);
    assert!(expected.iter().filter(|(status, _)| *status == 200).count() >= 35, "{expected:?}");
    for _ in 0..12 {
        same(&expected, &answers(asks(&node), 20).await);
    }
    assert_eq!(opened(&app).await, 2);
}

/// The answers in the order of the questions, of which so many are under way at once.
async fn answers(asked: Vec<RequestBuilder>, at_once: usize) -> Vec<(u16, String)> {
    stream::iter(asked).map(answered).buffered(at_once).collect().await
}

/// Status and body, without what differs each time: the id of the request, and signatures with what is signed over them.
async fn answered(request: RequestBuilder) -> (u16, String) {
    let answer = request.send().await.unwrap();
    let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
    let mut body: Value = serde_json::from_str(&text).unwrap();
    let members = body.as_object_mut().unwrap();
    members.remove("request_id");
    for name in ["access_token", "id_token"] {
        if let Some(token) = members.remove(name) {
            let payload = token.as_str().unwrap().split('.').nth(1).unwrap().to_owned();
            let mut claims: Value =
                serde_json::from_slice(&tessera::secret::decode_base64url(&payload).unwrap()).unwrap();
            claims.as_object_mut().unwrap().retain(|name, _| !matches!(name.as_str(), "jti" | "at_hash"));
            members.insert(name.into(), claims);
        }
    }
    (status, body.to_string())
}

fn reads(at: &TestApp, shop: &Shop, owner: &str, held: &[(String, Tokens)]) -> Vec<RequestBuilder> {
    let as_client = |endpoint: &str, body: Value| {
        let url = at.project_url(shop, &format!("/api/{endpoint}"));
        at.http.post(url).basic_auth(&shop.id, shop.secret.as_deref()).json(&body)
    };
    let as_admin = |path: &str| at.admin_request(owner, Method::GET, &format!("/projects/shop{path}"));
    let mut asked = Vec::new();
    for (user, tokens) in held {
        let access = tokens.get("access_token");
        let told = at.project_url(shop, "/api/userinfofromaccesstoken");
        asked.extend([
            as_client("verifyaccesstoken", json!({"access_token": access})),
            as_client("verifyaccesstoken", json!({"access_token": access, "required_roles": ["x"]})),
            at.http.post(told).bearer_auth(access),
            as_client("refresh", json!({"refresh_token": tokens.get("refresh_token")})),
            as_admin(&format!("/users/{user}")),
            as_admin(&format!("/users/{user}/sessions")),
            as_admin(&format!("/users?limit=1&after={user}")),
            as_admin(&format!("/clients/{user}")),
            as_admin("/audit?limit=3"),
        ]);
    }
    asked
}

/// A node without a pooler, whose connections say so, and one behind it, to which it gives so many.
async fn two_nodes(connections: u32) -> (TestApp, Pooler, TestApp) {
    let mut database = Database::new(Engine::Postgres).await;
    database.url += "?application_name=direct";
    let pooler = Pooler::start(&database, connections);
    let app = TestApp::over(database, |_| ()).await;
    let node = app.node_through(&pooler).await;
    (app, pooler, node)
}

/// How many connections the pooler has opened.
async fn opened(app: &TestApp) -> i64 {
    let sql = "SELECT count(*) AS n FROM pg_stat_activity
               WHERE datname = current_database() AND backend_type = 'client backend' AND application_name <> 'direct'";
    number(&app.app.db, sql).await
}

/// Twenty people at once, each from the sign-in to the sign-out, over three connections: each gets what is theirs, and a
/// statement that fails disturbs nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn twenty_at_once_live_their_lives() {
    let (app, _pooler, node) = two_nodes(3).await;
    let (shop, owner) = (app.shop("shop", "confidential").await, app.key(None, "owner").await);
    app.admin_post(
        &owner,
        "/projects/shop/attribute-definitions",
        json!({"name": "number", "type": "string"}),
    )
    .await
    .created();
    for round in 0..3 {
        join_all((0..20).map(|n| life(&node, &shop, &owner, format!("person-{round}-{n}")))).await;
    }
    let chain = tessera::audit::verify(&app.app.db, shop.project).await.unwrap();
    assert!(matches!(chain, tessera::audit::Verdict::Whole { .. }));
    assert_eq!(opened(&app).await, 3);
}

async fn life(node: &TestApp, shop: &Shop, owner: &str, name: String) {
    let users = "/projects/shop/users";
    let person = json!({"username": name, "password": PASSWORD});
    let made = node.admin_post(owner, users, person.clone()).await.created();
    let user = made["id"].as_str().unwrap();
    assert_eq!(node.admin_post(owner, users, person).await.status, 409);
    let tokens = node.sign_in_as(shop, &name).await;
    let judged = node.verify(shop, tokens.get("access_token")).await;
    assert_eq!((&judged["active"], &judged["claims"]["sub"]), (&json!(true), &json!(user)));
    let renewed = Tokens(node.refresh(shop, tokens.get("refresh_token")).await.ok());
    let set = json!({"user": user, "set": {"number": name}});
    let updated = node.bearer(shop, "attribute-update", owner, set).await.ok();
    assert_eq!((&updated["id"], &updated["attributes"]["number"]), (&json!(user), &json!(name)));
    let told =
        node.bearer(shop, "userinfofromaccesstoken", renewed.get("access_token"), json!({})).await.ok();
    assert_eq!(told["sub"], user);
    let nobody =
        node.bearer(shop, "attribute-update", owner, json!({"user": user, "set": {"colour": "x"}})).await;
    assert_eq!(nobody.status, 400);
    let seen = node.admin_get(owner, &format!("{users}/{user}")).await.ok();
    assert_eq!((&seen["username"], &seen["attributes"]["number"]), (&json!(name), &json!(name)));
    let ended = node.bearer(shop, "GlobalSignOut", renewed.get("access_token"), json!({})).await.ok();
    assert_eq!(ended["families_ended"], 1);
    assert_eq!(node.verify(shop, renewed.get("access_token")).await["reason"], "signed_out");
}

/// Nodes that start at once behind a pooler take their turns, though they share its connections.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_migrate_through_it() {
    let database = Database::new(Engine::Postgres).await;
    let pooler = Pooler::start(&database, 2);
    let settings = database.through(&pooler).settings();
    let nodes = join_all((0..4).map(|_| Db::connect(&settings))).await;
    let nodes: Vec<Db> = nodes.into_iter().map(|node| node.unwrap()).collect();
    assert!(nodes[0].pending_migrations().await.unwrap() > 0);
    for outcome in join_all(nodes.iter().map(Db::migrate)).await {
        outcome.unwrap();
    }
    assert_eq!(nodes[3].pending_migrations().await.unwrap(), 0);
    let direct = Db::connect(&database.settings()).await.unwrap();
    assert_eq!(direct.pending_migrations().await.unwrap(), 0);
    nodes[0].migrate().await.unwrap();
    leaves_nothing_behind(&pooler.url(&database)).await;
    // Our lock ends with its transaction.
    let locks = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
                 WHERE d.datname = current_database() AND l.locktype = 'advisory'";
    assert_eq!(direct.read(|conn| async move { fetch_one!(conn, (i64,), locks) }).await.unwrap(), (0,));
}

/// The program itself, from an empty database on: it migrates, serves, and stops.
#[tokio::test(flavor = "multi_thread")]
async fn the_program_serves_behind_it() {
    let app = TestApp::new(Engine::Postgres).await;
    let empty = Database::new(Engine::Postgres).await;
    let pooler = Pooler::start(&empty, 2);
    let mut settings = settings_of(&app);
    settings.retain(|(name, _)| *name != "DATABASE_URL");
    settings.push(("DATABASE_URL", pooler.url(&empty)));
    settings.push(("TESSERA__DATABASE__POOLER", "transaction".into()));
    assert_eq!(run(&["migrate", "--check"], &settings, "").code, Some(1));
    let server = Server::start(&["serve"], &settings);
    assert_eq!(run(&["migrate", "--check"], &settings, "").code, Some(0));
    let health = app.http.get(format!("http://{}/health", server.address)).send().await.unwrap();
    assert_eq!((health.status().as_u16(), health.text().await.unwrap()), (200, "ok\n".into()));
    let made = run(&["project", "create", "shop"], &settings, "");
    assert_eq!(made.code, Some(0), "{}", made.err);
    let url = format!("http://{}/projects/shop/.well-known/jwks.json", server.address);
    assert_eq!(app.http.get(url).send().await.unwrap().status(), 200);
    let (status, log) = server.stop();
    assert_eq!(status.code(), Some(0), "{log:#?}");
    assert!(!log.iter().any(|line| line.contains("ERROR")), "{log:#?}");
}

/// What is missing in the pooler's configuration is named at start.
#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_refuses_is_quoted() {
    let app = TestApp::new(Engine::Postgres).await;
    let pooler = Pooler::configured(&app.database, 2, "");
    let mut settings = settings_of(&app);
    settings.retain(|(name, _)| *name != "DATABASE_URL");
    settings.push(("DATABASE_URL", pooler.url(&app.database)));
    settings.push(("TESSERA__DATABASE__POOLER", "transaction".into()));
    let refused = run(&["serve"], &settings, "");
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("unsupported startup parameter: extra_float_digits"), "{}", refused.err);
}

/// While it is away the answer is 503; when it is back, the connections that went with it are met by trying once more.
#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_may_restart() {
    let database = Database::new(Engine::Postgres).await;
    let mut pooler = Pooler::start(&database, 2);
    let db = Db::connect(&database.through(&pooler).settings()).await.unwrap();
    create_table(&db).await;
    for (n, kind) in ["read", "write", "unit"].into_iter().enumerate() {
        join_all((0..5).map(|_| count(&db))).await;
        pooler.stop();
        let away =
            db.read(|conn| async move { fetch_one!(conn, (i64,), "SELECT 1::bigint") }).await.unwrap_err();
        assert_eq!((away.code(), away.retry_after()), (Code::TemporarilyUnavailable, Some(1)));
        pooler.start_again();
        join_all((0..5).map(|_| count(&db))).await;
        pooler.stop();
        pooler.start_again();
        match kind {
            "read" => assert_eq!(count(&db).await, 0),
            "write" => {
                assert_eq!(db.write(|conn| async move { insert(&conn, kind).await }).await.unwrap(), 1)
            }
            _ => assert_eq!(db.unit(|conn| async move { insert(&conn, kind).await }).await.unwrap(), 1),
        }
        assert_eq!(count(&db).await, i64::try_from(n).unwrap());
    }
}
