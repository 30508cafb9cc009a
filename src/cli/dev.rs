//! `dev`: a working server with a project, two clients, a user and an admin key in it; nothing to set up.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use super::{serve, server};
use crate::app::App;
use crate::config::{Config, MasterKey, Sources};
use crate::entropy::Entropy;
use crate::keys::master::MasterKeys;
use crate::model::client::ClientSettings;
use crate::projects;
use crate::secret::Secret;
use crate::store::db::{Db, Settings};
use crate::telemetry;

#[derive(Args)]
pub struct Dev {
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where the store, the master key and dev.json lie.
    #[arg(long, default_value = ".tessera")]
    data: PathBuf,
    /// PostgreSQL instead of the embedded store.
    #[arg(long)]
    database_url: Option<String>,
    /// Forget what is in the data directory and begin anew.
    #[arg(long, conflicts_with = "database_url")]
    fresh: bool,
}

/// `dev.json`: what was made, for scripts.
#[derive(Serialize, Deserialize)]
struct Demo {
    issuer: String,
    base_url: String,
    project: String,
    clients: Vec<DemoClient>,
    user: DemoUser,
    admin_key: String,
    database_url: String,
}

#[derive(Serialize, Deserialize)]
struct DemoClient {
    client_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
    redirect_uri: String,
    r#type: String,
}

#[derive(Serialize, Deserialize)]
struct DemoUser {
    username: String,
    password: String,
}

pub async fn run(dev: &Dev, sources: Sources) -> anyhow::Result<()> {
    let config = Config::load(&sources, MasterKey::Optional)?;
    telemetry::init(&config.log)?;
    if dev.fresh && dev.data.exists() {
        for name in ["tessera.db", "tessera.db-wal", "tessera.db-shm", "master.key", "dev.json"] {
            let file = dev.data.join(name);
            if file.exists() {
                fs::remove_file(file)?;
            }
        }
    }
    fs::create_dir_all(&dev.data).context("the data directory cannot be made")?;
    let embedded = || format!("sqlite://{}/tessera.db", dev.data.display());
    let database_url = dev.database_url.clone().unwrap_or_else(embedded);
    let db = Db::connect(&Settings::new(&database_url)).await?;
    db.migrate().await?;
    let keys = MasterKeys::parse(&master_key(&dev.data)?)?;
    let listener = TcpListener::bind(dev.listen).await.context("the address cannot be listened on")?;
    let base_url = format!("http://localhost:{}", listener.local_addr()?.port());
    let app = serve::app(db, &base_url, keys, &config.passwords, true)?;
    let file = dev.data.join("dev.json");
    let demo = match fs::read(&file) {
        Ok(bytes) => serde_json::from_slice(&bytes).context("dev.json does not parse; try --fresh")?,
        Err(_) => {
            let demo = make(&app, database_url).await?;
            write_private(&file, &serde_json::to_vec_pretty(&demo)?)?;
            demo
        }
    };
    if demo.base_url != base_url {
        anyhow::bail!(
            "this data was made for {}: listen there, or use --fresh or another --data",
            demo.base_url
        );
    }
    println!("{}", welcome(&demo));
    server::serve(Arc::new(app), listener, config.shutdown.grace).await
}

/// Reads the master key, or makes one that only its owner can read.
fn master_key(data: &Path) -> anyhow::Result<String> {
    let file = data.join("master.key");
    if !file.exists() {
        let key = MasterKeys::generate(&Entropy::default(), "dev")?;
        write_private(&file, key.expose().as_bytes())?;
    }
    Ok(fs::read_to_string(file)?)
}

fn write_private(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    file.write_all(bytes)?;
    Ok(file.sync_all()?)
}

async fn make(app: &App, database_url: String) -> anyhow::Result<Demo> {
    let project = projects::create_project(app, "demo", "Demo").await?;
    let redirect_uri = format!("{}/demo/callback", project.issuer);
    let mut clients = Vec::new();
    for (kind, name) in [("confidential", "Demo web app"), ("public", "Demo mobile app")] {
        // A pasted curl line needs no verifier.
        let settings = ClientSettings {
            redirect_uris: vec![redirect_uri.clone()],
            require_pkce: kind == "public",
            ..ClientSettings::default()
        };
        let (client, secret) = projects::create_client(app, project.id, name, kind, settings).await?;
        clients.push(DemoClient {
            client_id: client.id.to_string(),
            client_secret: secret.map(|secret| secret.expose().to_owned()),
            redirect_uri: redirect_uri.clone(),
            r#type: kind.into(),
        });
    }
    let user =
        DemoUser { username: "alice".into(), password: app.entropy.token("")?.expose()[..16].to_owned() };
    let password = Secret::new(user.password.clone());
    projects::create_user(app, project.id, &user.username, Some("alice@example.com"), password).await?;
    let (_, admin_key) = projects::create_admin_key(app, None, "dev", "owner").await?;
    Ok(Demo {
        issuer: project.issuer,
        base_url: app.base_url.clone(),
        project: project.slug,
        clients,
        user,
        admin_key: admin_key.expose().to_owned(),
        database_url,
    })
}

fn welcome(demo: &Demo) -> String {
    let (issuer, user) = (&demo.issuer, &demo.user);
    let Some(client) = demo.clients.first() else { return String::new() };
    let (id, secret) = (&client.client_id, client.client_secret.as_deref().unwrap_or_default());
    let uri = &client.redirect_uri;
    let json = "-H 'Content-Type: application/json'";
    format!(
        "
Tessera is ready: {issuer}

Sign in as  {name} / {password}
at          {issuer}/oauth2/authorize?response_type=code&client_id={id}&redirect_uri={uri}&scope=openid+profile+email

Then paste, with what each line answers:

CLIENT_ID={id}
CLIENT_SECRET={secret}
ADMIN_KEY={admin}
curl -s {issuer}/api/GetTokenFromCode -u \"$CLIENT_ID:$CLIENT_SECRET\" {json} -d '{{\"code\": \"'$CODE'\", \"redirect_uri\": \"{uri}\"}}'
curl -s {issuer}/api/refresh -u \"$CLIENT_ID:$CLIENT_SECRET\" {json} -d '{{\"refresh_token\": \"'$REFRESH_TOKEN'\"}}'
curl -s {issuer}/api/verifyaccesstoken -u \"$CLIENT_ID:$CLIENT_SECRET\" {json} -d '{{\"access_token\": \"'$ACCESS_TOKEN'\"}}'
curl -s {issuer}/api/userinfofromaccesstoken -X POST -H \"Authorization: Bearer $ACCESS_TOKEN\"
curl -s {issuer}/api/GlobalSignOut -X POST -H \"Authorization: Bearer $ACCESS_TOKEN\"
curl -s {issuer}/api/GlobalSignOut -H \"Authorization: Bearer $ADMIN_KEY\" {json} -d '{{\"user\": {{\"username\": \"{name}\"}}}}'
",
        name = user.username,
        password = user.password,
        admin = demo.admin_key,
    )
}
