//! `/admin/projects/{project}/events`: sign-ins, refreshes and failures.

use axum::response::Response;
use serde::Deserialize;
use uuid::Uuid;

use super::paging::{limit, page};
use crate::error::{Error, Result};
use crate::events::{self, Kind, Shown};
use crate::http::answer::ok;
use crate::http::call::Call;
use crate::ids::{ClientId, UserId};
use crate::model::timestamp::moment;
use crate::store::events::Filter;

/// Outcomes are words of ours.
const MOST_BYTES: usize = 64;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    limit: Option<i64>,
    after: Option<Uuid>,
    since: Option<String>,
    until: Option<String>,
    kind: Option<String>,
    outcome: Option<String>,
    client_id: Option<ClientId>,
    user: Option<UserId>,
}

fn is_word(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=MOST_BYTES).contains(&text.len()) && text.bytes().all(plain)
}

/// Newest first.
pub async fn list(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    call.project_admin(&ctx).await?;
    let query: Query = call.query()?;
    let limit = limit(query.limit)?;
    if query.kind.as_deref().is_some_and(|kind| !Kind::ALL.iter().any(|known| known.as_str() == kind)) {
        let bound = "kind is sign_in, exchange, refresh, client_authentication or deletion";
        return Err(Error::invalid_field("kind", bound));
    }
    if query.outcome.as_deref().is_some_and(|outcome| !is_word(outcome)) {
        let bound = format!("outcome has 1 to {MOST_BYTES} of a-z, 0-9 and _");
        return Err(Error::invalid_field("outcome", bound));
    }
    let filter = Filter {
        since: moment("since", query.since.as_deref())?,
        until: moment("until", query.until.as_deref())?,
        kind: query.kind,
        outcome: query.outcome,
        client: query.client_id,
        user: query.user,
    };
    let found = events::list(&ctx, &filter, query.after, limit + 1).await?;
    Ok(ok(&page(found, limit, |event: &Shown| event.id.to_string())))
}
