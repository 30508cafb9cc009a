//! `dev`: a working server with a project, two clients, a user and an admin key in it; nothing to set up.

pub mod files;
mod make;
mod welcome;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;

use self::files::DataDirectory;
use super::{open, serve, server};
use crate::app::App;
use crate::callout::Reach;
use crate::config::{Config, MasterKey, Sources};
use crate::demo::{Demo, moving};
use crate::mail::Mailer;
use crate::model::sign_in_policy::SecondFactor;
use crate::projects::admins::home;
use crate::store::{clients, projects, users};
use crate::telemetry;

#[derive(Args)]
#[command(after_help = "\
Examples:
  tessera dev                                   on http://localhost:8080, with all data in .tessera/
  tessera dev --listen 127.0.0.1:9000 --data /tmp/play
  tessera dev --database-url postgres://postgres@localhost/play
  tessera dev --fresh                           forgets what is in .tessera/ and begins anew

Started again on the same data it keeps everything: ids, secrets, users, sessions. On another port the projects follow: their
issuers and the demo's redirect URIs get the new address, so access tokens from before are refused and refresh tokens go on.
DIR/dev.json holds what was made, for scripts; it and the master key can be read by you alone.")]
pub struct Dev {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where the store, the master key and dev.json lie.
    #[arg(long, value_name = "DIR", default_value = ".tessera")]
    data: PathBuf,
    /// PostgreSQL instead of the embedded store: postgres://user:password@host/database
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// Forget what is in the data directory and begin anew.
    #[arg(long, conflicts_with = "database_url")]
    fresh: bool,
}

impl Dev {
    /// The place and the address are this command's own affair; all other settings count.
    fn settings(&self, mut sources: Sources) -> anyhow::Result<Config> {
        let data = self.data.to_str().context("--data is not UTF-8")?.to_owned();
        let database_url = self.database_url.clone().unwrap_or_default();
        sources.flags.extend([
            ("listen", self.listen.to_string(), "--listen"),
            ("base_url", "http://localhost".to_owned(), "tessera dev"),
            ("data_dir", data, "--data"),
            ("database_url", database_url, "--database-url"),
            ("tls.certificate_file", String::new(), "tessera dev"),
            ("tls.key_file", String::new(), "tessera dev"),
            ("erasure_ledger", String::new(), "tessera dev"),
            ("master_key", String::new(), "tessera dev"),
            ("master_key_file", String::new(), "tessera dev"),
        ]);
        let mut config = Config::load(&sources, MasterKey::Optional)?;
        // Applications under development run on the same machine.
        config.callouts.reach = config.callouts.reach.max(Reach::Loopback);
        Ok(config)
    }
}

pub async fn run(dev: &Dev, sources: Sources) -> anyhow::Result<()> {
    let config = dev.settings(sources)?;
    telemetry::init(&config.log)?;
    let data = DataDirectory::lock(&dev.data)?;
    if dev.fresh {
        data.empty()?;
    }
    let known = data.demo()?;
    let keys = data.master_key(known.is_some())?;
    let db = open::open_or_make(&config).await?;
    db.migrate().await?;
    let listener = TcpListener::bind(config.listen)
        .await
        .with_context(|| format!("{} cannot be listened on", config.listen))?;
    let base_url = format!("http://localhost:{}", listener.local_addr()?.port());
    let mut app = serve::app(db, &base_url, keys, &config)?;
    app.mailer = Mailer::Files(data.mail());
    let mut app = Arc::new(app);
    let database_url = config.database_url();
    let demo = match known {
        Some(demo) => again(&app, demo, database_url.expose()).await?,
        None => make::demo(&app, database_url.expose()).await?,
    };
    // Whoever tries it out is asked for a second factor once they have one.
    home::ensure(&app, SecondFactor::Optional).await?;
    data.save(&demo)?;
    println!("{}", welcome::text(&demo, &dev.data, is_there(&app, &demo).await?));
    // Nobody else has it before it is served.
    Arc::get_mut(&mut app).context("the application is in use already")?.demo = Some(demo);
    server::serve(app, listener, config.shutdown.grace).await
}

/// What an earlier run made, at the address of this one.
async fn again(app: &App, mut demo: Demo, database_url: &str) -> anyhow::Result<Demo> {
    let (slug, clients) = (demo.project.as_str(), &demo.clients);
    let project = app
        .db
        .read(|conn| async move {
            let Some(project) = projects::find(&conn, slug).await? else { return Ok(None) };
            for client in clients {
                if clients::find(&conn, project.id, client.client_id).await?.is_none() {
                    return Ok(None);
                }
            }
            Ok(Some(project))
        })
        .await?;
    let project = project.context(
        "dev.json tells of a demo that is not in this store: name the store it was made in, or use another --data, or --fresh",
    )?;
    let path = format!("/projects/{slug}");
    let from =
        project.issuer.strip_suffix(&path).context("the issuer of the demo is not one of `tessera dev`")?;
    let to = &app.base_url;
    if from != to {
        moving::move_to(app, &project, &demo, from, to).await?;
        println!("This data was at {from} before; its projects are now at {to}.");
    }
    demo.issuer = format!("{to}{path}");
    demo.base_url.clone_from(to);
    demo.database_url = database_url.to_owned();
    for client in &mut demo.clients {
        client.redirect_uri = make::redirect_uri(&demo.issuer);
    }
    Ok(demo)
}

/// Whether the demo's user has not been deleted.
async fn is_there(app: &App, demo: &Demo) -> anyhow::Result<bool> {
    let (slug, name) = (demo.project.as_str(), demo.user.username.as_str());
    let user = app
        .db
        .read(|conn| async move {
            let project = projects::get(&conn, slug).await?;
            users::find_by_username(&conn, project.id, name).await
        })
        .await?;
    Ok(user.is_some())
}
