//! `user create|set-password`.

use clap::Subcommand;

use super::common::{Common, context};
use super::password;
use crate::app::Ctx;
use crate::audit::Actor;
use crate::config::Sources;
use crate::error::not_found;
use crate::ids::UserId;
use crate::projects::users::{self, NewUser};
use crate::store::users as stored;

#[derive(Subcommand)]
pub enum User {
    /// Makes a user. The password is read from standard input, or asked for.
    #[command(after_help = "\
Examples:
  tessera user create --project shop bob --email bob@example.com             asks for the password
  tessera user create --project shop bob --role editor < password.txt
  tessera user create --project shop bob --no-password")]
    Create {
        username: String,
        /// Slug or id.
        #[arg(long, value_name = "SLUG")]
        project: String,
        #[arg(long)]
        email: Option<String>,
        /// The address is known to be the user's.
        #[arg(long, requires = "email")]
        email_verified: bool,
        /// A role of the project; may be given more than once.
        #[arg(long)]
        role: Vec<String>,
        /// A group of the project; may be given more than once.
        #[arg(long)]
        group: Vec<String>,
        /// The user cannot sign in until a password is set.
        #[arg(long)]
        no_password: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Sets a user's password, read from standard input or asked for, and signs the user out everywhere.
    #[command(after_help = "\
Examples:
  tessera user set-password --project shop bob
  tessera user set-password --project shop 01890a5d-ac96-774b-bcce-b302099a8057 < password.txt")]
    SetPassword {
        /// User name or id.
        user: String,
        /// Slug or id.
        #[arg(long, value_name = "SLUG")]
        project: String,
        #[command(flatten)]
        common: Common,
    },
}

pub async fn run(command: &User, sources: Sources) -> anyhow::Result<()> {
    match command {
        User::Create { username, project, email, email_verified, role, group, no_password, common } => {
            let ctx = context(&common.app(sources).await?, project).await?;
            let password = if *no_password { None } else { Some(password::read().await?) };
            let new = NewUser {
                username: username.clone(),
                email: email.clone(),
                email_verified: *email_verified,
                password,
                roles: role.clone(),
                groups: group.clone(),
                ..NewUser::default()
            };
            common.show(&users::create(&ctx, &Actor::command_line(), new).await?)
        }
        User::SetPassword { user, project, common } => {
            let ctx = context(&common.app(sources).await?, project).await?;
            let id = find(&ctx, user).await?;
            let password = password::read().await?;
            common.show(&users::set_password(&ctx, &Actor::command_line(), id, password, None).await?)
        }
    }
}

/// A user by name or, when no name is like it, by id.
pub(super) async fn find(ctx: &Ctx, named: &str) -> anyhow::Result<UserId> {
    let found = ctx
        .app
        .db
        .read(|conn| async move { stored::find_by_username(&conn, ctx.project.id, named).await })
        .await?;
    let id = found.map(|user| user.id).or_else(|| named.parse().ok());
    Ok(id.ok_or_else(|| not_found("no such user"))?)
}
