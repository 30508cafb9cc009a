//! What a user is given and what is taken back: attributes, roles and groups, all or nothing.
//!
//! Everything here runs in a unit that has locked the user's row. Giving notes the holder first, which keeps the
//! definition from being deleted, and only then reads the definition.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::error::{Error, Result, forbidden};
use crate::ids::ProjectId;
use crate::model::attribute::{AttributeDefinition, MOST_DEFINITIONS};
use crate::model::holding::{Holding, LabelKind};
use crate::model::names::check_label;
use crate::model::timestamp::Timestamp;
use crate::model::user::UserRow;
use crate::store::db::Conn;
use crate::store::users::{self, Holdings};
use crate::store::{attribute_definitions, holders, labels};

/// Roles, and groups, of one user: tokens carry them all.
const MOST_LABELS: usize = 100;

/// What changes. An attribute is set or removed, never both; the same holds for a role or a group.
#[derive(Debug, Default)]
pub struct Change {
    pub set: Map<String, Value>,
    pub remove: Vec<String>,
    pub roles: LabelChange,
    pub groups: LabelChange,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LabelChange {
    pub add: Vec<String>,
    pub remove: Vec<String>,
}

impl LabelChange {
    pub fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty()
    }
}

/// On whose behalf: a user writes only what the definition leaves to users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    Admin,
    User,
}

/// A changed row, and what changed, without the values: for the audit log.
pub struct Applied {
    pub row: UserRow,
    pub detail: Value,
}

/// Gives and takes, and writes the resolved lists. `None` when everything stands so already.
///
/// # Errors
/// `invalid_request` naming the field (`set.department`, `roles.add`) and the bound; `forbidden` for a user who writes
/// what only admins may.
pub async fn apply(
    conn: &Conn,
    project: ProjectId,
    now: Timestamp,
    row: &UserRow,
    change: &Change,
    writer: Writer,
) -> Result<Option<Applied>> {
    let old: Map<String, Value> = serde_json::from_str(&row.attributes).map_err(Error::internal)?;
    let new = attributes(conn, project, row, &old, change, writer).await?;
    let roles = label_list(conn, project, row, LabelKind::Role, &change.roles).await?;
    let groups = label_list(conn, project, row, LabelKind::Group, &change.groups).await?;
    if new == old && !roles.changed() && !groups.changed() {
        return Ok(None);
    }
    let text = |value: &Value| value.to_string();
    let detail = json!({
        "attributes_set": new.keys().filter(|name| old.get(*name) != new.get(*name)).collect::<Vec<_>>(),
        "attributes_removed": old.keys().filter(|name| !new.contains_key(*name)).collect::<Vec<_>>(),
        "roles_added": roles.added(), "roles_removed": roles.removed(),
        "groups_added": groups.added(), "groups_removed": groups.removed(),
    });
    let holdings = Holdings {
        roles: text(&json!(roles.new)),
        groups: text(&json!(groups.new)),
        attributes: text(&Value::Object(new)),
    };
    let row = users::set_holdings(conn, project, now, row.id, &holdings).await?;
    Ok(Some(Applied { row, detail }))
}

async fn attributes(
    conn: &Conn,
    project: ProjectId,
    row: &UserRow,
    old: &Map<String, Value>,
    change: &Change,
    writer: Writer,
) -> Result<Map<String, Value>> {
    let mut new = old.clone();
    if change.set.is_empty() && change.remove.is_empty() {
        return Ok(new);
    }
    if change.set.len() > MOST_DEFINITIONS {
        let why = format!("set has at most {MOST_DEFINITIONS} attributes");
        return Err(Error::invalid_field("set", why));
    }
    for name in change.set.keys().filter(|name| !old.contains_key(*name) && check_label(name).is_ok()) {
        holders::give(conn, project, Holding::Attribute, name, row.id).await?;
    }
    let definitions = attribute_definitions::list(conn, project).await?;
    for (name, value) in &change.set {
        let field = format!("set.{name}");
        writable(&definitions, name, &field, writer)?.check(&field, value)?;
        new.insert(name.clone(), value.clone());
    }
    for name in &change.remove {
        let field = format!("remove.{name}");
        writable(&definitions, name, &field, writer)?;
        if change.set.contains_key(name) {
            return Err(Error::invalid_field(field, format!("{name} is both set and removed")));
        }
        if new.remove(name).is_some() {
            holders::take(conn, project, Holding::Attribute, name, row.id).await?;
        }
    }
    Ok(new)
}

/// The definition of an attribute that the writer may write.
fn writable<'a>(
    definitions: &'a [AttributeDefinition],
    name: &str,
    field: &str,
    writer: Writer,
) -> Result<&'a AttributeDefinition> {
    let found = definitions.iter().find(|definition| definition.name == name);
    let found = found
        .ok_or_else(|| Error::invalid_field(field.to_owned(), format!("there is no attribute {name}")))?;
    if writer == Writer::User && !found.user_writable {
        return Err(forbidden(format!("{name} is not for users to write")).with_field(field.to_owned()));
    }
    Ok(found)
}

/// A list of roles or groups, before and after.
struct Labels {
    old: BTreeSet<String>,
    new: BTreeSet<String>,
}

impl Labels {
    fn changed(&self) -> bool {
        self.old != self.new
    }

    fn added(&self) -> Vec<&String> {
        self.new.difference(&self.old).collect()
    }

    fn removed(&self) -> Vec<&String> {
        self.old.difference(&self.new).collect()
    }
}

async fn label_list(
    conn: &Conn,
    project: ProjectId,
    row: &UserRow,
    kind: LabelKind,
    change: &LabelChange,
) -> Result<Labels> {
    let (text, list) = match kind {
        LabelKind::Role => (&row.roles, "roles"),
        LabelKind::Group => (&row.groups, "groups"),
    };
    let old: BTreeSet<String> = serde_json::from_str(text).map_err(Error::internal)?;
    let mut new = old.clone();
    let holding = kind.holding();
    let unknown = |part: &str, name: &str| {
        Error::invalid_field(format!("{list}.{part}"), format!("there is no {} {name}", holding.noun()))
    };
    for (part, names) in [("add", &change.add), ("remove", &change.remove)] {
        if names.len() > MOST_LABELS {
            let field = format!("{list}.{part}");
            return Err(Error::invalid_field(
                field.clone(),
                format!("{field} has at most {MOST_LABELS} names"),
            ));
        }
        if let Some(name) = names.iter().find(|name| check_label(name).is_err()) {
            return Err(unknown(part, name));
        }
    }
    for name in &change.add {
        if new.insert(name.clone()) && holders::give(conn, project, holding, name, row.id).await? == 0 {
            return Err(unknown("add", name));
        }
    }
    for name in &change.remove {
        if change.add.contains(name) {
            let why = format!("{name} is both added and removed");
            return Err(Error::invalid_field(format!("{list}.remove"), why));
        }
        if new.remove(name) {
            holders::take(conn, project, holding, name, row.id).await?;
        } else if labels::find(conn, project, kind, name).await?.is_none() {
            return Err(unknown("remove", name));
        }
    }
    if new.len() > MOST_LABELS {
        let why = format!("a user has at most {MOST_LABELS} {list}");
        return Err(Error::invalid_field(format!("{list}.add"), why));
    }
    Ok(Labels { old, new })
}
