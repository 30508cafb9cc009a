//! The table role × endpoint: the docs, the router and every single answer agree with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tessera::http::permissions::{ENDPOINTS, Endpoint, Reach};
use tessera::model::project::ProjectSettings;
use tessera::model::role::Role;

use crate::support::{Answer, Engine, Hall, TestApp, both_engines};

both_engines!(every_cell, routes_and_rows_are_the_same);

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Whose key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Nobodys,
    Revoked,
    OfAll(Role),
    OfTheProject(Role),
    OfAnother(Role),
}

/// The status that refuses, if the table says that this key may not call.
fn refusal(endpoint: &Endpoint, key: Key) -> Option<u16> {
    let (role, elsewhere) = match key {
        Key::Nobodys | Key::Revoked => return Some(401),
        Key::OfAll(role) => (role, None),
        Key::OfTheProject(role) => (role, (endpoint.reach == Reach::Instance).then_some(403)),
        Key::OfAnother(role) => match endpoint.reach {
            Reach::Project => (role, Some(401)),
            Reach::Instance => (role, Some(403)),
            Reach::Own => (role, None),
        },
    };
    if role.may(endpoint.permission) { elsewhere } else { Some(403) }
}

/// A call that nothing but the key can refuse with 401 or 403, and that changes nothing: it asks for what is not there,
/// or says what no endpoint understands.
fn harmless(endpoint: &Endpoint, project: &str) -> (String, Value) {
    let nothing = uuid::Uuid::max().to_string();
    let filled: Vec<&str> = endpoint
        .path
        .split('/')
        .map(|part| match part {
            "{project}" => project,
            part if part.starts_with('{') => &nothing,
            part => part,
        })
        .collect();
    let mut path = filled.join("/");
    if endpoint.method == Method::DELETE && endpoint.path == "/admin/projects/{project}" {
        path += "?dry_run=true";
    }
    // One line of it is JSON.
    if endpoint.path.ends_with("/audit/export") {
        path += "?limit=1";
    }
    let body = match endpoint.path.rsplit('/').next() {
        Some("verifyaccesstoken") => json!({"access_token": "x"}),
        Some("GlobalSignOut") => json!({"user": nothing}),
        _ => json!({"nonsense": true}),
    };
    (path, body)
}

async fn every_cell(engine: Engine) {
    let app = TestApp::new(engine).await;
    let (shop, other) = (app.shop("shop", "public").await, app.shop("other", "public").await);
    let mut keys = vec![(Key::Nobodys, None)];
    for role in Role::ALL {
        let name = role.as_str();
        keys.push((Key::OfAll(role), Some(app.admin_key(None, name).await)));
        keys.push((Key::OfTheProject(role), Some(app.admin_key(Some(shop.project), name).await)));
        keys.push((Key::OfAnother(role), Some(app.admin_key(Some(other.project), name).await)));
    }
    // People with the same roles may the same.
    let hall = Hall::new(&app).await;
    for role in Role::ALL {
        let name = role.as_str();
        let reaches = [
            (Key::OfAll(role), None),
            (Key::OfTheProject(role), Some(&shop)),
            (Key::OfAnother(role), Some(&other)),
        ];
        for (kind, place) in reaches {
            let person = format!("{kind:?}").replace(|c: char| !c.is_alphanumeric(), "-");
            let (_, token) = hall.admin(&person, name, place.map(|place| place.project)).await;
            keys.push((kind, Some(token)));
        }
    }
    let owner = app.admin_key(None, "owner").await;
    let dead = app.admin_post(&owner, "/admin-keys", json!({"name": "x", "role": "owner"})).await.created();
    app.admin_delete(&owner, &format!("/admin-keys/{}", dead["id"].as_str().unwrap())).await.ok();
    keys.push((Key::Revoked, dead["key"].as_str().map(str::to_owned)));

    let mut wrong = Vec::new();
    for endpoint in ENDPOINTS {
        let (path, body) = harmless(endpoint, &shop.slug);
        for (kind, key) in &keys {
            let mut request = app.http.request(endpoint.method.clone(), format!("{}{path}", app.base));
            if endpoint.method != Method::GET {
                request = request.json(&body);
            }
            if let Some(key) = key {
                request = request.bearer_auth(key);
            }
            let answer = Answer::of(request.send().await.unwrap()).await;
            let expected = refusal(endpoint, *kind);
            let fits = match expected {
                Some(status) => answer.status == status,
                None => !matches!(answer.status, 401 | 403 | 405) && answer.status < 500,
            };
            if !fits {
                wrong.push(format!("{} {path} {kind:?}: {expected:?} {answer:?}", endpoint.method));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every route under /admin has its rows, and every row its route. The router says in `Allow` what it takes.
async fn routes_and_rows_are_the_same(engine: Engine) {
    let app = TestApp::new(engine).await;
    let mut rows: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for endpoint in ENDPOINTS.iter().filter(|endpoint| endpoint.path.starts_with("/admin")) {
        rows.entry(endpoint.path).or_default().insert(endpoint.method.to_string());
    }
    for (path, methods) in &rows {
        let asked = Method::from_bytes(b"PROPFIND").unwrap();
        let response = app.http.request(asked, format!("{}{path}", app.base)).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        let allowed = response.headers()["allow"].to_str().unwrap().to_owned();
        // axum answers HEAD wherever it answers GET.
        let allowed: BTreeSet<String> =
            allowed.split(',').filter(|method| *method != "HEAD").map(str::to_owned).collect();
        assert_eq!(allowed, *methods, "{path}");
    }
    let routed = routed_paths();
    let known: BTreeSet<String> = rows.keys().map(|path| (*path).to_owned()).collect();
    assert_eq!(routed, known);
}

/// The paths that the router shows when it is printed.
fn routed_paths() -> BTreeSet<String> {
    let printed = format!("{:?}", tessera::http::admin::routes().into_router());
    let literals = printed.split('"').skip(1).step_by(2);
    literals.filter(|text| text.starts_with("/admin")).map(str::to_owned).collect()
}

/// `docs/roles.md`, as the table has it. `UPDATE_DOCS=1` writes it.
#[test]
fn the_docs_are_made_from_the_table() {
    let (file, made) = (root("docs/roles.md"), rendered());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&file, &made).unwrap();
    }
    let kept = fs::read_to_string(file).unwrap_or_default();
    assert!(kept == made, "docs/roles.md is old: run this test with UPDATE_DOCS=1");
}

fn rendered() -> String {
    let mut text = String::from(
        "# Roles\n\nMade from `src/http/permissions.rs`; a test calls every cell, by key and by person. A role is for one project or for all.\n\n\
         - `project`: admins of the project that the path names, and of all. Another project's admin is 401.\n\
         - `own`: everybody, each for what they reach.\n\
         - `instance`: admins of all projects only.\n\
         - \"if the project says so\": its setting `user_managers_may_delete`. What confirms the end of a project takes an owner.\n\n\
         In the [built-in project](admin.md#people) owners of all projects alone change anything.\n\n\
         | endpoint | admins | owner | admin | user_manager | auditor |\n|---|---|---|---|---|---|\n",
    );
    let lenient = ProjectSettings { user_managers_may_delete: true, ..ProjectSettings::default() };
    for endpoint in ENDPOINTS {
        let reach = match endpoint.reach {
            Reach::Project => "project",
            Reach::Own => "own",
            Reach::Instance => "instance",
        };
        write!(text, "| `{} {}` | {reach} |", endpoint.method, endpoint.path).unwrap();
        for role in Role::ALL {
            text += match role.may(endpoint.permission) {
                true => " yes |",
                false if role.may_if_let(endpoint.permission, &lenient) => " if the project says so |",
                false => " |",
            };
        }
        text += "\n";
    }
    text
}
