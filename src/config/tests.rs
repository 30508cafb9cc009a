use super::*;

const KEY: &str = "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn environment(pairs: &[(&str, &str)]) -> Sources {
    let environment = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Sources { environment, ..Sources::default() }
}

fn problems(sources: &Sources) -> String {
    Config::load(sources, MasterKey::Required).unwrap_err().to_string()
}

#[test]
fn defaults_are_good_but_for_the_master_key() {
    assert_eq!(
        problems(&Sources::default()),
        "the settings are not usable:\n- master_key or master_key_file is missing"
    );
    let config = Config::load(&Sources::default(), MasterKey::Optional).unwrap();
    assert_eq!((config.listen.port(), config.base_url.as_str()), (8080, "http://localhost:8080"));
    assert_eq!(config.database_url().expose(), "sqlite://.tessera/tessera.db");
    assert_eq!((config.log.filter.as_str(), config.log.format), ("info", LogFormat::Pretty));
    assert_eq!(config.shutdown.grace.as_secs(), 20);
}

#[test]
fn later_layers_win() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tessera.toml");
    std::fs::write(&file, "data_dir = '/a'\n[log]\nformat = 'json'\n[database]\nmax_connections = 7\n")
        .unwrap();
    let mut sources = environment(&[
        ("TESSERA__DATABASE__MAX_CONNECTIONS", "9"),
        ("TESSERA__DATABASE_URL", "postgres://long"),
        ("DATABASE_URL", "postgres://short"),
        ("TESSERA__MASTER_KEY", KEY),
        ("TESSERA_CONFIG", "not a setting"),
        ("PATH", "/bin"),
    ]);
    sources.file = Some(file);
    let config = Config::load(&sources, MasterKey::Required).unwrap();
    assert_eq!(config.data_dir, Path::new("/a"));
    assert_eq!((config.log.format, config.database.max_connections), (LogFormat::Json, 9));
    assert_eq!(config.database_url().expose(), "postgres://long");
    sources.flags = vec![("database_url", "sqlite:///flag".into(), "--database-url")];
    let config = Config::load(&sources, MasterKey::Required).unwrap();
    assert_eq!(config.database_url().expose(), "sqlite:///flag");
}

#[test]
fn all_problems_are_told_at_once_and_say_where() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bad.toml");
    std::fs::write(
        &file,
        "listn = '127.0.0.1:1'\npasswords = 3\n[log]\nfilter = '=='\ncolour = true\n[database]\npooler = ['none']\n",
    )
    .unwrap();
    let mut sources = environment(&[
        ("TESSERA__LISTEN", "localhost"),
        ("TESSERA__BASE_URL", "https://id.example/"),
        ("TESSERA__DATABASE__MAX_CONNECTIONS", "many"),
        ("TESSERA__PASSWORDS__WORKERS", "-1"),
        ("TESSERA__LOG__FORMAT", "xml"),
        ("TESSERA__MASTER_KEY_FILE", "/nowhere/key"),
        ("DATABASE_URL", "mysql://root:hunter2@db"),
        ("TESSERA__TRUSTED_PROXIES", "10.0.0.0/8, proxy.example"),
        ("TESSERA__FORWARDED_HEADER", "via"),
    ]);
    sources.file = Some(file.clone());
    let found = problems(&sources);
    let file = file.display();
    for expected in [
        &format!("listn is not a setting (set in {file})"),
        &format!("passwords is a section, not a setting (set in {file})"),
        &format!("log.colour is not a setting (set in {file})"),
        &format!("database.pooler is a single value (in {file})"),
        &format!(r#"log.filter is a filter such as "info" or "warn,tessera=debug" (set in {file})"#),
        "listen is an address with a port, such as 127.0.0.1:8080 or [::]:8080 (set in the environment as TESSERA__LISTEN)",
        "base_url is http(s)://host[:port] in lower case, without the scheme's own port and without a path or a slash at its end (set in the environment as TESSERA__BASE_URL)",
        "database.max_connections is a whole number from 2 to 1000 (set in the environment as TESSERA__DATABASE__MAX_CONNECTIONS)",
        "passwords.workers is a whole number from 0 to 256 (set in the environment as TESSERA__PASSWORDS__WORKERS)",
        r#"log.format is "pretty" or "json" (set in the environment as TESSERA__LOG__FORMAT)"#,
        "master_key_file is not usable: No such file or directory (os error 2) (set in the environment as TESSERA__MASTER_KEY_FILE)",
        "database_url begins with postgres:// or sqlite:// (set in the environment as DATABASE_URL)",
        "trusted_proxies lists addresses (10.0.0.1) and networks (10.0.0.0/8, fd00::/8), separated by commas (set in the environment as TESSERA__TRUSTED_PROXIES)",
        r#"forwarded_header is "x-forwarded-for" or "forwarded" (set in the environment as TESSERA__FORWARDED_HEADER)"#,
    ] {
        assert!(found.lines().any(|line| line.strip_prefix("- ") == Some(expected)), "{expected}\n{found}");
    }
    assert_eq!(found.lines().count(), 15, "{found}");
    assert!(!found.contains("hunter2"));
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    let sources =
        Sources { file: Some("/nowhere.toml".into()), ..environment(&[("TESSERA__MASTER_KEY", KEY)]) };
    assert!(problems(&sources).contains("/nowhere.toml cannot be read: No such file"));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("broken.toml");
    std::fs::write(&file, "data_dir = '/a'\nmaster_key = k1:hunter2\n").unwrap();
    let found = problems(&Sources { file: Some(file.clone()), ..Sources::default() });
    assert!(found.contains(&format!("{} is not TOML: see line 2", file.display())), "{found}");
    assert!(!found.contains("hunter2"));
}

#[test]
fn secrets_are_never_printed() {
    let secrets = ["hunter2", "AAAAAAAA"];
    let sources = environment(&[("DATABASE_URL", "postgres://u:hunter2@db/t"), ("TESSERA__MASTER_KEY", KEY)]);
    let shown = format!("{:?}", Config::load(&sources, MasterKey::Required).unwrap());
    assert!(secrets.iter().all(|secret| !shown.contains(secret)), "{shown}");
    let sources = environment(&[("TESSERA__MASTER_KEY", "AAAAAAAA")]);
    let found = problems(&sources);
    assert!(found.contains("master_key is not usable: a master key is written id:base64url"), "{found}");
    assert!(!found.contains("AAAAAAAA"));
}

#[test]
fn a_base_url_is_an_origin() {
    for good in ["http://localhost:8080", "https://id.example", "http://[::1]:8080"] {
        assert!(is_origin(good), "{good}");
    }
    for bad in [
        "https://id.example/",
        "https://id.example/x",
        "https://id.example:443",
        "https://ID.example",
        "https://u@id.example",
        "ftp://a",
        "https://a?b",
        "id.example",
        "",
    ] {
        assert!(!is_origin(bad), "{bad}");
    }
}

#[test]
fn the_embedded_store_may_lie_anywhere() {
    use std::str::FromStr;
    let url = embedded_store(Path::new("/a b/50%/what?/x#y"));
    let options = sqlx::sqlite::SqliteConnectOptions::from_str(&url).unwrap();
    assert_eq!(options.get_filename(), Path::new("/a b/50%/what?/x#y/tessera.db"));
}

#[test]
fn a_ledger_beside_the_store_is_known() {
    let beside = |values: &[(&str, &str)]| {
        let values = [values, &[("TESSERA__MASTER_KEY", KEY), ("TESSERA__DATA_DIR", "/srv/t")]].concat();
        Config::load(&environment(&values), MasterKey::Required).unwrap().is_ledger_beside_store()
    };
    assert!(beside(&[]));
    assert!(beside(&[("TESSERA__ERASURE_LEDGER", "/srv/t/ledgers/one")]));
    assert!(!beside(&[("TESSERA__ERASURE_LEDGER", "/mnt/other/erasure-ledger")]));
    assert!(!beside(&[("DATABASE_URL", "postgres://u@db/t")]));
}

/// `docs/configuration.md` has one row for each setting, with its variable and its default.
#[test]
fn the_reference_is_complete() {
    let layers = Layers::load(&Sources::default());
    let document = include_str!("../../docs/configuration.md");
    let rows: Vec<_> =
        document.lines().filter(|line| line.starts_with("| `") && !line.starts_with("| `--")).collect();
    for key in layers.keys() {
        let variable = format!("TESSERA__{}", key.to_uppercase().replace('.', "__"));
        let default = layers.text(key).map_or(String::new(), |text| format!("`{text}`"));
        let start = format!("| `{key}` | `{variable}` | {default} |");
        assert!(rows.iter().any(|row| row.starts_with(&start)), "docs/configuration.md lacks: {start}");
    }
    assert_eq!(rows.len(), layers.keys().count(), "docs/configuration.md has a row for what is no setting");
}

/// Every setting in `config/default.toml` follows a comment.
#[test]
fn every_default_is_explained() {
    let mut above = "";
    for line in DEFAULTS.lines() {
        if line.contains(" = ") && !line.starts_with('#') {
            assert!(above.starts_with('#') && above.len() > 10, "{line}");
        }
        above = line;
    }
}
