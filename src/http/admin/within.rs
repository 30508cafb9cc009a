//! Lists of what belongs to one project or to all, and the project that a request names.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::paging::limit;
use crate::app::App;
use crate::error::{Error, Result, not_found};
use crate::http::call::Call;
use crate::ids::ProjectId;
use crate::model::role::Permission;
use crate::projects::admins::{Admin, Within};
use crate::projects::find_id;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Query<I> {
    limit: Option<i64>,
    after: Option<I>,
    project: Option<String>,
}

/// What part of a list an owner asks for.
pub(super) struct List<I> {
    /// `None`: every project.
    pub within: Option<ProjectId>,
    pub after: Option<I>,
    pub limit: i64,
}

impl<I: DeserializeOwned> List<I> {
    pub async fn of(call: &Call, admin: &Admin) -> Result<Self> {
        let query: Query<I> = call.query()?;
        let limit = limit(query.limit)?;
        let own = admin.within(Permission::Own);
        let within = match named_project(&call.app, &own, query.project.as_deref()).await? {
            None => own.one()?,
            named => named,
        };
        Ok(Self { within, after: query.after, limit })
    }
}

/// The project that a body or query names by slug or id; one beyond the caller's reach is not found.
pub(super) async fn named_project(
    app: &App,
    within: &Within,
    name: Option<&str>,
) -> Result<Option<ProjectId>> {
    let Some(name) = name else { return Ok(None) };
    if name.chars().any(char::is_control) {
        return Err(Error::invalid_field("project", "project has no control characters"));
    }
    let found = find_id(app, name).await?;
    let found = found.filter(|id| within.contains(Some(*id)));
    found.map(Some).ok_or_else(|| not_found("no such project").with_field("project"))
}
