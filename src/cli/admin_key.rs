//! `admin-key create|list|revoke`.

use std::sync::Arc;

use clap::Subcommand;
use serde_json::{Value, json};

use super::common::{Common, PAGE, context};
use crate::app::App;
use crate::audit::Actor;
use crate::config::Sources;
use crate::ids::{AdminKeyId, ProjectId};
use crate::projects::admin_keys::{self, NewAdminKey};
use crate::projects::admins::Within;
use crate::store::admin_keys::Listed;

#[derive(Subcommand)]
pub enum Command {
    /// Makes a key for the admin API, which is shown this once.
    #[command(after_help = "\
Examples:
  tessera admin-key create --name ops --role owner                          for all projects
  tessera admin-key create --name 'help desk' --role user_manager --project shop

Roles: owner (everything), admin (everything but admin keys and the deletion of projects), user_manager (users, their
attributes and sessions), auditor (reads).")]
    Create {
        /// What it is for.
        #[arg(long)]
        name: String,
        #[arg(long)]
        role: String,
        /// Slug or id; without it, the key is for all projects.
        #[arg(long, value_name = "SLUG")]
        project: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Lists live keys by age: id, role, project, name.
    List {
        /// Slug or id; without it, the keys of all projects.
        #[arg(long, value_name = "SLUG")]
        project: Option<String>,
        #[command(flatten)]
        common: Common,
    },
    /// Ends a key: every node refuses it from its next request on.
    Revoke {
        id: AdminKeyId,
        #[command(flatten)]
        common: Common,
    },
}

pub async fn run(command: &Command, sources: Sources) -> anyhow::Result<()> {
    match command {
        Command::Create { name, role, project, common } => {
            let app = common.app(sources).await?;
            let project = reach(&app, project.as_deref()).await?;
            let new = NewAdminKey { name: name.clone(), role: role.parse()?, project };
            let (made, key) = admin_keys::create(&app, &Actor::command_line(), None, new).await?;
            let mut shown = shown(&made);
            shown["key"] = json!(key.expose());
            common.show(&shown)
        }
        Command::List { project, common } => {
            let app = common.app(sources).await?;
            let within = reach(&app, project.as_deref()).await?;
            let mut after = None;
            loop {
                let page = admin_keys::list(&app, within, after, PAGE).await?;
                let Some(last) = page.last() else { return Ok(()) };
                after = Some(last.key.id);
                for key in &page {
                    common.row(&shown(key), &["id", "role", "project", "name"])?;
                }
            }
        }
        Command::Revoke { id, common } => {
            let app = common.app(sources).await?;
            let (key, revoked_at) =
                admin_keys::revoke(&app, &Actor::command_line(), &Within::All, *id).await?;
            let mut shown = shown(&key);
            shown["revoked_at"] = json!(revoked_at);
            common.show(&shown)
        }
    }
}

pub(super) async fn reach(app: &Arc<App>, project: Option<&str>) -> anyhow::Result<Option<ProjectId>> {
    Ok(match project {
        Some(project) => Some(context(app, project).await?.project.id),
        None => None,
    })
}

fn shown(key: &Listed) -> Value {
    let Listed { key, created_at, .. } = key;
    json!({"id": key.id, "name": key.name, "role": key.role, "project": key.project_id, "created_at": created_at})
}
