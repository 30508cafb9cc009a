//! `client create|list|rotate-secret`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::common::{Common, PAGE, context};
use crate::app::Ctx;
use crate::audit::Actor;
use crate::config::Sources;
use crate::ids::ClientId;
use crate::model::client::{AuthMethod, Client, ClientKind, ClientSettings, GrantType};
use crate::oauth::login_link;
use crate::projects::clients::{self, NewClient, Old};

#[derive(Subcommand)]
pub enum Command {
    /// Registers an application; a confidential one gets a secret, which is shown this once.
    #[command(after_help = "\
Examples:
  tessera client create --project shop --name 'Web shop' --redirect-uri https://shop.example/callback
  tessera client create --project shop --name App --type public --redirect-uri com.example.app:/callback
  tessera client create --project shop --name Nightly --type service
  tessera client create --project shop --name Gateway --type service --jwks-file gateway.jwks.json")]
    Create(Create),
    /// Lists the clients of a project by age: id, type, status, name.
    List {
        /// Slug or id.
        #[arg(long, value_name = "SLUG")]
        project: String,
        #[command(flatten)]
        common: Common,
    },
    /// Gives a client a new secret, which is shown this once. The one before stays valid unless you say otherwise.
    #[command(after_help = "\
Examples:
  tessera client rotate-secret --project shop CLIENT_ID                          both are valid; the older of two goes
  tessera client rotate-secret --project shop CLIENT_ID --old-lives-seconds 3600
  tessera client rotate-secret --project shop CLIENT_ID --leaked                 the old one and all its tokens end now")]
    RotateSecret {
        client_id: ClientId,
        /// Slug or id.
        #[arg(long, value_name = "SLUG")]
        project: String,
        /// How long the old secret stays valid, up to 2592000; 0 ends it now.
        #[arg(long, value_name = "SECONDS")]
        old_lives_seconds: Option<i64>,
        /// Others know the old secret: it ends now, and so does everything granted to the client.
        #[arg(long, conflicts_with = "old_lives_seconds")]
        leaked: bool,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Args)]
pub struct Create {
    /// Slug or id.
    #[arg(long, value_name = "SLUG")]
    project: String,
    /// What people see when they sign in.
    #[arg(long)]
    name: String,
    /// `confidential` (a server, which keeps a secret), `public` (an app or a page, which cannot), or `service` (a program
    /// without people, which acts in its own name).
    #[arg(long = "type", value_name = "TYPE", default_value = "confidential")]
    kind: String,
    /// Where people are sent after the sign-in; may be given more than once, and the first is the default.
    #[arg(long, value_name = "URI")]
    redirect_uri: Vec<String>,
    /// What it gets tokens for; may be given more than once. What is usual for its type, when left out.
    #[arg(long, value_name = "GRANT_TYPE")]
    grant_type: Vec<String>,
    /// The scopes that it may ask for, separated by spaces.
    #[arg(long)]
    scope: Option<String>,
    /// A file with its public keys (a JWK Set): it proves itself by `private_key_jwt` and gets no secret.
    #[arg(long, value_name = "FILE")]
    jwks_file: Option<PathBuf>,
    /// Where it publishes its public keys instead.
    #[arg(long, value_name = "URI", conflicts_with = "jwks_file")]
    jwks_uri: Option<String>,
    /// The audience of its access tokens; its id, when left out.
    #[arg(long)]
    audience: Option<String>,
    /// Not one of the project's own applications: its tokens do not act on the account.
    #[arg(long)]
    third_party: bool,
    /// A confidential client may sign in without PKCE.
    #[arg(long)]
    no_pkce: bool,
    #[command(flatten)]
    common: Common,
}

pub async fn run(command: &Command, sources: Sources) -> anyhow::Result<()> {
    match command {
        Command::Create(command) => create(command, sources).await,
        Command::List { project, common } => {
            let ctx = context(&common.app(sources).await?, project).await?;
            let mut after = None;
            loop {
                let page = clients::list(&ctx, after, PAGE).await?;
                let Some(last) = page.last() else { return Ok(()) };
                after = Some(last.id);
                for client in &page {
                    common.row(&shown(&ctx, client)?, &["client_id", "type", "status", "client_name"])?;
                }
            }
        }
        Command::RotateSecret { client_id, project, old_lives_seconds, leaked, common } => {
            let ctx = context(&common.app(sources).await?, project).await?;
            let old = match (leaked, old_lives_seconds) {
                (true, _) => Old::Leaked,
                (false, Some(seconds)) => Old::Lives(*seconds),
                (false, None) => Old::Stays,
            };
            let rotated = clients::rotate_secret(&ctx, &Actor::command_line(), None, *client_id, old).await?;
            common.show(&json!({"client_id": client_id, "client_secret": rotated.secret.expose()}))
        }
    }
}

async fn create(command: &Create, sources: Sources) -> anyhow::Result<()> {
    let kind: ClientKind = command.kind.parse()?;
    let app = command.common.app(sources).await?;
    let ctx = context(&app, &command.project).await?;
    let usual = NewClient::of_kind(command.name.clone(), kind);
    let jwks = command.jwks_file.as_deref().map(read_jwks).transpose()?;
    let settings = ClientSettings {
        redirect_uris: command.redirect_uri.clone(),
        audience: command.audience.clone(),
        scope: command.scope.clone(),
        first_party: !command.third_party,
        require_pkce: !command.no_pkce,
        token_endpoint_auth_method: (jwks.is_some() || command.jwks_uri.is_some())
            .then_some(AuthMethod::PrivateKeyJwt),
        jwks,
        jwks_uri: command.jwks_uri.clone(),
        grant_types: match command.grant_type.as_slice() {
            [] => usual.settings.grant_types.clone(),
            named => named.iter().map(|name| grant_type(name)).collect::<anyhow::Result<_>>()?,
        },
        ..usual.settings
    };
    let new = NewClient { settings, ..usual };
    let (client, secret) =
        clients::create(&app, ctx.project.id, ctx.now, &Actor::command_line(), new).await?;
    let mut made = shown(&ctx, &client)?;
    made.extend(secret.map(|secret| ("client_secret".to_owned(), json!(secret.expose()))));
    command.common.show(&made)
}

fn grant_type(name: &str) -> anyhow::Result<GrantType> {
    GrantType::named(name).with_context(|| {
        let known = GrantType::ALL.map(GrantType::as_str).join(", ");
        format!("grant type {name} is not one of {known}")
    })
}

fn read_jwks(path: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))
}

/// A client under the names of RFC 7591 and ours; how long its tokens live is the affair of `token-validity`.
fn shown(ctx: &Ctx, client: &Client) -> anyhow::Result<Map<String, Value>> {
    let Value::Object(settings) = serde_json::to_value(&client.settings)? else {
        anyhow::bail!("not an object")
    };
    let mut shown = Map::new();
    for (name, value) in [
        ("client_id", json!(client.id)),
        ("client_name", json!(client.name)),
        ("type", json!(client.kind)),
        ("status", json!(client.status)),
        ("login_link", json!(login_link(&ctx.project.issuer, client))),
    ] {
        shown.insert(name.into(), value);
    }
    shown.extend(settings.into_iter().filter(|(name, _)| name != "validity"));
    Ok(shown)
}
