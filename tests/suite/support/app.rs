//! The app under test, built the way `main` builds it; only the clock is swapped, and nobody sleeps.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName};
use reqwest::{Client as Http, redirect};
use tessera::app::App;
use tessera::cache::Cache;
use tessera::callout::{CalloutSettings, Callouts, Reach};
use tessera::clock::Clock;
use tessera::config::Server;
use tessera::entropy::Entropy;
use tessera::events::Events;
use tessera::http::connections;
use tessera::identity::guesses::Turns;
use tessera::identity::passwords::Hasher;
use tessera::keys::master::MasterKeys;
use tessera::mail::Mailer;
use tessera::model::proxies::TrustedProxies;
use tessera::model::timestamp::Timestamp;
use tessera::running::Running;
use tessera::store::db::{Db, Settings};
use tessera::store::rotations::Rotations;
use tessera::store::standings::Standings;

use super::{Database, Engine, Pooler};

/// One node, listening.
pub struct TestApp {
    pub app: Arc<App>,
    pub base: String,
    pub http: Http,
    pub database: Arc<Database>,
}

impl TestApp {
    pub async fn new(engine: Engine) -> Self {
        Self::changed(engine, |_| ()).await
    }

    /// A node that differs from the usual one, before it listens.
    pub async fn changed(engine: Engine, change: impl FnOnce(&mut App)) -> Self {
        Self::over(Database::with_schema(engine).await, change).await
    }

    /// A node over an empty database.
    pub async fn over(database: Database, change: impl FnOnce(&mut App)) -> Self {
        let clock = Clock::manual(Timestamp::from_unix(1_800_000_000));
        Self::on(Arc::new(database), clock, change).await
    }

    /// A node over a store that is there already, in a process of its own.
    pub async fn joining(url: &str, now: Timestamp, change: impl FnOnce(&mut App)) -> Self {
        Self::on(Arc::new(Database::at(url.to_owned())), Clock::manual(now), change).await
    }

    /// Another node over the same store, which it reaches through a pooler.
    pub async fn node_through(&self, pooler: &Pooler) -> Self {
        let database = Arc::new(self.database.through(pooler));
        Self::on(database, self.app.clock.clone(), |_| ()).await
    }

    /// The same node as somebody at this address calls it, with this browser. The node has to trust whoever is near.
    pub fn called_from(&self, address: &str, user_agent: &str) -> Self {
        let values = [("x-forwarded-for", address), ("user-agent", user_agent)];
        let headers = values.map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        let http = Http::builder().redirect(redirect::Policy::none());
        let http = http.default_headers(HeaderMap::from_iter(headers)).build().unwrap();
        let (app, database) = (self.app.clone(), self.database.clone());
        Self { app, base: self.base.clone(), http, database }
    }

    /// Another node over the same store, with the same clock and keys.
    pub async fn second_node(&self) -> Self {
        self.second_node_changed(|_| ()).await
    }

    pub async fn second_node_changed(&self, change: impl FnOnce(&mut App)) -> Self {
        Self::on(Arc::clone(&self.database), self.app.clock.clone(), change).await
    }

    pub(super) async fn on(database: Arc<Database>, clock: Clock, change: impl FnOnce(&mut App)) -> Self {
        let settings = database.settings();
        // Behind a pooler a node's connections cost little, and are many more than the server's.
        let max_connections = if settings.transaction_pooler { 20 } else { 4 };
        let db = Db::connect(&Settings { max_connections, ..settings }).await.unwrap();
        db.migrate().await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let entropy = Entropy::default();
        let keys = format!("test:{}", "A".repeat(43));
        // Cheap hashing: what is tested is the flow, not argon2.
        let hasher = Hasher::new(&entropy, 8, 1, 2, 64).unwrap();
        let mut app = App {
            base_url: base.clone(),
            standings: Standings::new(db.clone()),
            rotations: Rotations::new(db.clone()),
            db,
            cache: Cache::default(),
            clock,
            entropy,
            master_keys: MasterKeys::parse(&keys).unwrap(),
            hasher,
            turns: Turns::default(),
            running: Running::default(),
            deletions_per_second: 1000,
            server: Server {
                max_connections: 256,
                header_timeout: Duration::from_secs(10),
                body_timeout: Duration::from_secs(10),
                idle_timeout: Duration::from_secs(75),
            },
            tls: None,
            proxies: TrustedProxies::default(),
            mailer: Mailer::Absent,
            events: Events::default(),
            // Whom tests call runs beside them.
            callouts: Callouts::new(CalloutSettings { reach: Reach::Loopback, ..CalloutSettings::default() })
                .unwrap(),
            erasure_ledger: None,
            demo: None,
        };
        change(&mut app);
        let app = Arc::new(app);
        tokio::spawn(connections::serve(app.clone(), listener, std::future::pending()));
        let http = Http::builder().redirect(redirect::Policy::none()).build().unwrap();
        Self { app, base, http, database }
    }
}
