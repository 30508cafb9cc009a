//! The keys that a client publishes at its `jwks_uri` (RFC 7591, 2): fetched when an assertion needs them, and remembered
//! for a while. Nobody makes us fetch them often.

use std::sync::Arc;

use tokio::sync::Mutex;

use crate::app::Ctx;
use crate::cache::ClientEntry;
use crate::keys::client_keys::ClientKeys;
use crate::model::signing_key::Alg;
use crate::model::timestamp::Timestamp;

/// Keys are used for so many seconds: so long does one that the client took back go on.
const LIFETIME_SECONDS: i64 = 300;

/// An unknown key, or a failure, has them fetched again after so many seconds at the earliest.
const AGAIN_SECONDS: i64 = 30;

/// What was fetched for one client; whoever fetches holds it, and the others wait for what comes.
#[derive(Default)]
pub struct PublishedKeys(Mutex<Option<Fetched>>);

struct Fetched {
    uri: String,
    /// When the keys came.
    at: Timestamp,
    /// When they were asked for last.
    tried_at: Timestamp,
    keys: Arc<ClientKeys>,
}

impl Fetched {
    fn lives(&self, uri: &str, now: Timestamp) -> bool {
        self.uri == uri && now.seconds_since(self.at) < LIFETIME_SECONDS
    }
}

/// The keys that may prove the client: those that it registered, or those that it publishes.
pub async fn keys_of(ctx: &Ctx, entry: &ClientEntry, kid: Option<&str>, alg: Alg) -> Arc<ClientKeys> {
    let Some(uri) = &entry.client.settings.jwks_uri else { return entry.keys.clone() };
    let published = ctx.app.cache.published_keys(ctx.project.id, entry.client.id);
    let mut fetched = published.0.lock().await;
    let known = fetched.take().filter(|known| known.lives(uri, ctx.wall));
    let known = match known {
        Some(known) if known.keys.candidates(kid, alg).next().is_some() => known,
        Some(known) if ctx.wall.seconds_since(known.tried_at) < AGAIN_SECONDS => known,
        known => {
            let (uri, at, tried_at) = (uri.clone(), ctx.wall, ctx.wall);
            match (fetch(ctx, &uri).await, known) {
                (Some(keys), _) => Fetched { uri, at, tried_at, keys: Arc::new(keys) },
                // What came before is as good as it was.
                (None, Some(known)) => Fetched { tried_at, ..known },
                (None, None) => Fetched { uri, at, tried_at, keys: Arc::default() },
            }
        }
    };
    fetched.insert(known).keys.clone()
}

async fn fetch(ctx: &Ctx, uri: &str) -> Option<ClientKeys> {
    let failed = |why: &str| tracing::info!(why, "the keys of a client could not be fetched");
    let answer =
        ctx.app.callouts.get(ctx.project.id, uri).await.map_err(|fault| failed(fault.as_str())).ok()?;
    if answer.status != 200 {
        failed("the answer is not 200");
        return None;
    }
    let set = serde_json::from_slice(&answer.body).map_err(|_| failed("the answer is not JSON")).ok()?;
    ClientKeys::parse(&set).map_err(|error| failed(error.description())).ok()
}
