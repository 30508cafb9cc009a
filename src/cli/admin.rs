//! `admin create|grant|revoke|list|second-factor`: admins who are people.

use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::admin_key::reach;
use super::common::{Common, PAGE};
use super::{password, user};
use crate::app::{App, Ctx};
use crate::audit::Actor;
use crate::config::Sources;
use crate::ids::AdminGrantId;
use crate::model::role::Role;
use crate::model::sign_in_policy::SecondFactor;
use crate::projects::admins::grants::{self, NewGrant, project_of};
use crate::projects::admins::{Within, home, name};
use crate::projects::users::{self, NewUser};
use crate::projects::{self, ProjectChange};
use crate::store::admin_grants::GrantRow;

#[derive(Subcommand)]
pub enum Command {
    /// Makes a person of the built-in project, with a role. The password is read from standard input, or asked for.
    #[command(after_help = "\
Examples:
  tessera admin create ada --role owner --email ada@example.com               for all projects; asks for the password
  tessera admin create ben --role user_manager --project shop < password.txt

Whoever signs in as an admin shows a second factor, and makes one at the first sign-in. Roles are those of admin keys.")]
    Create {
        username: String,
        #[arg(long)]
        email: Option<String>,
        #[command(flatten)]
        role: RoleOf,
        #[command(flatten)]
        common: Common,
    },
    /// Gives a person of the built-in project a role.
    #[command(after_help = "\
Example:
  tessera admin grant ben --role auditor --project other")]
    Grant {
        /// User name or id.
        user: String,
        #[command(flatten)]
        role: RoleOf,
        #[command(flatten)]
        common: Common,
    },
    /// Takes a role away: every node refuses it from the person's next request on.
    Revoke {
        /// As `list` shows it.
        id: AdminGrantId,
        #[command(flatten)]
        common: Common,
    },
    /// Whether admins who are people have to have a second factor. Only this command makes it optional again.
    #[command(after_help = "\
Examples:
  tessera admin second-factor required
  tessera admin second-factor optional        whoever has none signs in by the password alone")]
    SecondFactor {
        /// required or optional
        policy: String,
        #[command(flatten)]
        common: Common,
    },
    /// Lists roles by age: id, role, project, user name.
    List {
        /// Slug or id; without it, the roles in all projects.
        #[arg(long, value_name = "SLUG")]
        project: Option<String>,
        #[command(flatten)]
        common: Common,
    },
}

#[derive(Args)]
pub struct RoleOf {
    /// owner, admin, user_manager or auditor
    #[arg(long)]
    role: String,
    /// Slug or id; without it, for all projects.
    #[arg(long, value_name = "SLUG")]
    project: Option<String>,
}

pub async fn run(command: &Command, sources: Sources) -> anyhow::Result<()> {
    match command {
        Command::Create { username, email, role, common } => {
            let (app, ctx) = open(common, sources).await?;
            let (role, project) = (role.role.parse()?, reach(&app, role.project.as_deref()).await?);
            let password = Some(password::read().await?);
            let new =
                NewUser { username: username.clone(), email: email.clone(), password, ..NewUser::default() };
            let user = users::create(&ctx, &Actor::command_line(), new).await?.id;
            give(common, &ctx, NewGrant { user, role, project }).await
        }
        Command::Grant { user, role, common } => {
            let (app, ctx) = open(common, sources).await?;
            let (role, project) = (role.role.parse()?, reach(&app, role.project.as_deref()).await?);
            let user = user::find(&ctx, user).await?;
            give(common, &ctx, NewGrant { user, role, project }).await
        }
        Command::Revoke { id, common } => {
            let (_, ctx) = open(common, sources).await?;
            let row = grants::revoke(&ctx, &Actor::command_line(), &Within::All, *id).await?;
            let mut shown = shown(&ctx, &row);
            shown["revoked_at"] = json!(ctx.now);
            common.show(&shown)
        }
        Command::SecondFactor { policy, common } => {
            let (_, ctx) = open(common, sources).await?;
            let settings = json!({"sign_in": {"second_factor": policy}});
            let settings = settings.as_object().cloned().unwrap_or_default();
            let change = ProjectChange { settings, ..ProjectChange::default() };
            let actor = Actor::command_line();
            let changed = projects::change(&ctx, &actor, Role::Owner, None, change).await?;
            common.show(&json!({"second_factor": changed.settings.sign_in.second_factor}))
        }
        Command::List { project, common } => {
            let (app, ctx) = open(common, sources).await?;
            let within = reach(&app, project.as_deref()).await?;
            let mut after = None;
            loop {
                let page = grants::list(&app, within, after, PAGE).await?;
                let Some(last) = page.last() else { return Ok(()) };
                after = Some(last.id);
                for row in &page {
                    common.row(&shown(&ctx, row), &["id", "role", "project", "username"])?;
                }
            }
        }
    }
}

/// The application, and the built-in project, which is made when no server has done so yet.
async fn open(common: &Common, sources: Sources) -> anyhow::Result<(Arc<App>, Ctx)> {
    let app = common.app(sources).await?;
    home::ensure(&app, SecondFactor::Required).await?;
    let ctx = grants::home(&app, "").await?;
    Ok((app, ctx))
}

async fn give(common: &Common, ctx: &Ctx, new: NewGrant) -> anyhow::Result<()> {
    common.show(&shown(ctx, &grants::grant(ctx, &Actor::command_line(), None, new).await?))
}

fn shown(ctx: &Ctx, row: &GrantRow) -> Value {
    json!({"id": row.id, "user": row.user_id, "username": row.username, "name_in_log": name(ctx, row.user_id), "role": row.role, "project": project_of(row),
        "created_at": row.created_at})
}
