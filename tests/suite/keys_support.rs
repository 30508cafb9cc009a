//! What the tests of signing keys share.

use serde_json::Value;
use tessera::app::App;
use tessera::ids::ProjectId;
use tessera::model::signing_key::SigningKey;
use tessera::secret::decode_base64url;
use tessera::store::signing_keys;

use crate::support::{Shop, TestApp};

/// Calls `$body` with a change of the project's keys by the command line, now.
macro_rules! change {
    ($app:expr, $project:expr) => {
        tessera::keys::provide::Change {
            app: &$app.app,
            project: $project,
            now: $app.app.clock.now(),
            actor: &tessera::audit::Actor::command_line(),
        }
    };
}
pub(crate) use change;

/// The header of a token.
pub fn header(token: &str) -> Value {
    let bytes = decode_base64url(token.split('.').next().unwrap()).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

pub fn kid(token: &str) -> String {
    header(token)["kid"].as_str().unwrap().to_owned()
}

pub async fn keys(app: &App, project: ProjectId) -> Vec<SigningKey> {
    app.db.read(|conn| async move { signing_keys::list(&conn, project).await }).await.unwrap()
}

/// `alg state` of each key, sorted.
pub async fn states(app: &App, project: ProjectId) -> Vec<String> {
    let keys = keys(app, project).await;
    let mut states: Vec<_> =
        keys.iter().map(|key| format!("{} {}", key.alg.as_str(), key.state.as_str())).collect();
    states.sort();
    states
}

#[derive(sqlx::FromRow)]
struct Logged {
    action: String,
    target: String,
    reason: String,
}

/// `action reason?` of each event about signing keys, oldest first; of one key if `kid` is named.
pub async fn events(app: &App, project: ProjectId, kid: Option<&str>) -> Vec<String> {
    let rows = app.db.read(|conn| async move {
        tessera::fetch_all!(
            &conn,
            Logged,
            "SELECT action, target, reason FROM audit_log WHERE project_id = $1 ORDER BY seq LIMIT 1000",
            project
        )
    });
    let about = |row: &Logged| match (row.target.strip_prefix("signing_key:"), kid) {
        (Some(target), Some(kid)) => target == kid,
        (found, _) => found.is_some(),
    };
    let rows: Vec<Logged> = rows.await.unwrap();
    rows.into_iter().filter(about).map(|row| format!("{} {}", row.action, row.reason).trim().into()).collect()
}

impl TestApp {
    /// A public document of the project, and its `kid`s when it is the JWK Set.
    pub async fn document(&self, shop: &Shop, name: &str) -> Value {
        let url = self.project_url(shop, &format!("/.well-known/{name}"));
        let answer = self.http.get(url).send().await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), answer.headers()["cache-control"].to_str().unwrap()),
            (200, "public, max-age=300")
        );
        answer.json().await.unwrap()
    }

    pub async fn published(&self, shop: &Shop) -> Vec<String> {
        let set = self.document(shop, "jwks.json").await;
        set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }
}
