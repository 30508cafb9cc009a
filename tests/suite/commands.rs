//! Commands: what they say, and their exit codes.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use crate::support::process::{Server, master_key, run, settings_of};
use crate::support::{Database, Engine, TestApp, both_engines};

both_engines!(migrations_are_applied_or_demanded, health_is_told, broken_chains_are_named);

#[test]
fn all_problems_with_the_settings_are_told_at_once() {
    let settings = [
        ("DATABASE_URL", "mysql://root:hunter2@db".into()),
        ("TESSERA__LISTEN", "everywhere".into()),
        ("TESSERA__LOGS__FILTER", "debug".into()),
    ];
    let said = run(&["serve"], &settings, "");
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    assert_eq!(
        said.err,
        "error: the settings are not usable:
- logs.filter is not a setting (set in the environment as TESSERA__LOGS__FILTER)
- listen is an address with a port, such as 127.0.0.1:8080 or [::]:8080 (set in the environment as TESSERA__LISTEN)
- database_url begins with postgres:// or sqlite:// (set in the environment as DATABASE_URL)
- master_key or master_key_file is missing
"
    );
}

#[test]
fn a_file_is_named_by_flag_or_by_variable() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("settings.toml");
    std::fs::write(&file, format!("data_dir = '{}'\n", directory.path().join("data").display())).unwrap();
    let file = file.to_str().unwrap().to_owned();
    assert_eq!(run(&["migrate", "--config", &file], &[], "").code, Some(0));
    assert!(directory.path().join("data/tessera.db").exists());
    assert_eq!(run(&["migrate", "--check"], &[("TESSERA_CONFIG", file)], "").code, Some(0));
}

/// Whatever the umask says.
#[test]
fn what_is_made_is_for_its_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("var/data");
    let ledger = directory.path().join("ledger/lines");
    let settings = [
        ("TESSERA__DATA_DIR", data.to_str().unwrap().to_owned()),
        ("TESSERA__ERASURE_LEDGER", ledger.to_str().unwrap().to_owned()),
        ("TESSERA__MASTER_KEY", master_key()),
        ("TESSERA__LISTEN", "127.0.0.1:0".into()),
    ];
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let server = Server::start(&["serve"], &settings);
    assert_eq!(mode(&data), 0o700);
    assert!(data.join("tessera.db").exists());
    // Those that SQLite puts beside it come and go.
    for file in std::fs::read_dir(&data).unwrap().map(|file| file.unwrap().path()) {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    // What somebody else has made stays as it is.
    let (status, _) = server.stop();
    assert_eq!(status.code(), Some(0));
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(run(&["migrate", "--check"], &settings, "").code, Some(0));
    assert_eq!(mode(&data), 0o755);
}

#[test]
fn a_store_that_is_not_there_is_not_made_by_looking() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().to_str().unwrap();
    for arguments in [&["audit", "verify", "--data", place][..], &["migrate", "--check"]] {
        let said = run(arguments, &[("TESSERA__DATA_DIR", place.into())], "");
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
        assert!(said.err.contains("unable to open database file"), "{}", said.err);
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

/// Nobody listens there, or nobody answers: told at once, by an exit code that makes a supervisor start it again.
#[test]
fn a_database_that_is_away_at_the_start_is_named() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = "error communicating with database: Connection refused (os error 111)";
    let cases = [(free, refused), (silent.local_addr().unwrap(), "no connection could be opened in time")];
    for (address, why) in cases {
        let settings = [
            ("DATABASE_URL", format!("postgres://tessera:hunter2@{address}/tessera")),
            ("TESSERA__MASTER_KEY", master_key()),
            ("TESSERA__DATABASE__ACQUIRE_TIMEOUT_SECONDS", "1".into()),
        ];
        for command in [&["serve"][..], &["serve", "--no-migrate"], &["migrate"]] {
            let said = run(command, &settings, "");
            assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
            assert_eq!(said.err, format!("error: no connection to the database at {address}: {why}\n"));
        }
    }
}

async fn migrations_are_applied_or_demanded(engine: Engine) {
    let database = Database::new(engine).await;
    if let Some(file) = database.url.strip_prefix("sqlite://") {
        std::fs::write(file, "").unwrap();
    }
    let settings = [
        ("DATABASE_URL", database.url.clone()),
        ("TESSERA__LISTEN", "127.0.0.1:0".into()),
        ("TESSERA__MASTER_KEY", master_key()),
    ];
    let migrations = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite")).unwrap();
    let pending = format!("error: {} migrations are pending: run `tessera migrate`\n", migrations.count());
    let refused = run(&["serve", "--no-migrate"], &settings, "");
    assert_eq!((refused.code, &refused.err), (Some(1), &pending));
    let check = run(&["migrate", "--check"], &settings, "");
    assert_eq!((check.code, &check.err), (Some(1), &pending));
    assert_eq!(run(&["migrate"], &settings, "").code, Some(0));
    assert_eq!(run(&["migrate", "--check"], &settings, "").out, "the schema is up to date\n");
    let (status, _) = Server::start(&["serve", "--no-migrate"], &settings).stop();
    assert_eq!(status.code(), Some(0));
}

async fn health_is_told(engine: Engine) {
    let mut app = TestApp::new(engine).await;
    let server = Server::serve(&mut app, &[]);
    let address = server.address.to_string();
    assert_eq!(run(&["health", "--address", &address], &[], "").code, Some(0));
    // Without the flag, the setting counts, and "everywhere" is asked here.
    let everywhere = format!("0.0.0.0:{}", server.address.port());
    assert_eq!(run(&["health"], &[("TESSERA__LISTEN", everywhere.clone())], "").code, Some(0));
    server.stop();
    let dead = run(&["health"], &[("TESSERA__LISTEN", everywhere)], "");
    assert_eq!(dead.code, Some(1));
    assert!(dead.err.starts_with(&format!("error: no server answers at {address}")), "{}", dead.err);
}

async fn broken_chains_are_named(engine: Engine) {
    let app = TestApp::new(engine).await;
    let shop = app.shop("shop", "confidential").await;
    app.app.clock.advance(1);
    let other = app.shop("other", "public").await;
    let settings = settings_of(&app);
    let said = run(&["audit", "verify"], &settings, "");
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    assert_eq!(said.out, "(all projects): whole, 0 events\nshop: whole, 5 events\nother: whole, 5 events\n");
    for sql in [
        "UPDATE audit_log SET detail = '{}x' WHERE seq = 2 AND project_id = $1",
        "DELETE FROM audit_log WHERE seq > 0 AND project_id = $1",
        "DELETE FROM audit_heads WHERE project_id = $1",
    ] {
        app.app.db.write(|conn| async move { tessera::execute!(&conn, sql, other.project) }).await.unwrap();
        let said = run(&["audit", "verify"], &settings, "");
        assert_eq!((said.code, said.err.as_str()), (Some(1), "error: 1 chain is broken\n"), "{}", said.out);
        let other = said.out.lines().last().unwrap();
        let seq = if sql.starts_with("UPDATE") { 2 } else { 1 };
        assert!(other.starts_with(&format!("other: broken at {seq}: ")), "{other}");
    }
    let id = shop.project.to_string();
    for (project, code) in [("shop", 0), (id.as_str(), 0), ("other", 1), ("nobody", 1)] {
        assert_eq!(
            run(&["audit", "verify", "--project", project], &settings, "").code,
            Some(code),
            "{project}"
        );
    }
    assert_eq!(
        json!(run(&["audit", "verify", "--project", "nobody"], &settings, "").err),
        "error: no such project\n"
    );
}
