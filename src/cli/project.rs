//! `project create|list`.

use clap::Subcommand;

use super::common::{Common, PAGE};
use crate::audit::Actor;
use crate::config::Sources;
use crate::model::project::{ProjectKind, ProjectSettings};
use crate::projects::admins::Within;
use crate::projects::{self, NewProject};

#[derive(Subcommand)]
pub enum Project {
    /// Makes a project: a tenant with users, clients, keys and an issuer of its own.
    #[command(after_help = "\
Examples:
  tessera project create shop --name 'The Shop'
  tessera project create try-out --sandbox --json

The issuer is BASE_URL/projects/SLUG for good: set base_url first. A slug is never renamed and never used again.")]
    Create {
        /// 2 to 63 of a-z, 0-9 and -, beginning with a letter.
        slug: String,
        /// What people see; the slug, when left out.
        #[arg(long)]
        name: Option<String>,
        /// For trying out; its tokens say so.
        #[arg(long)]
        sandbox: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Lists projects by age: slug, status, issuer, name.
    List {
        #[command(flatten)]
        common: Common,
    },
}

pub async fn run(command: &Project, sources: Sources) -> anyhow::Result<()> {
    match command {
        Project::Create { slug, name, sandbox, common } => {
            let app = common.app(sources).await?;
            let new = NewProject {
                slug: slug.clone(),
                name: name.clone().unwrap_or_else(|| slug.clone()),
                kind: if *sandbox { ProjectKind::Sandbox } else { ProjectKind::Live },
                settings: ProjectSettings::default(),
            };
            common.show(&projects::create(&app, &Actor::command_line(), new).await?)
        }
        Project::List { common } => {
            let app = common.app(sources).await?;
            let mut after = None;
            loop {
                let page = projects::list(&app, &Within::All, after, PAGE).await?;
                let Some(last) = page.last() else { return Ok(()) };
                after = Some(last.id);
                for project in &page {
                    common.row(project, &["slug", "status", "issuer", "name"])?;
                }
            }
        }
    }
}
