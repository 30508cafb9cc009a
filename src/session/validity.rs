//! `token-validity`: how long a client's tokens live. From now on for new tokens; a shorter refresh lifetime caps living
//! families at once.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::{Error, Result, conflict};
use crate::ids::ClientId;
use crate::model::client::Validity;
use crate::projects::clients as registered;
use crate::store::{clients, families};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    Seconds,
    Minutes,
    Hours,
    Days,
}

impl Unit {
    const fn seconds(self) -> i64 {
        match self {
            Self::Seconds => 1,
            Self::Minutes => 60,
            Self::Hours => 3600,
            Self::Days => 86_400,
        }
    }
}

/// The unit of each number.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Units {
    access_token: Unit,
    id_token: Unit,
    refresh_token: Unit,
    refresh_idle: Unit,
}

impl Default for Units {
    fn default() -> Self {
        Self {
            access_token: Unit::Hours,
            id_token: Unit::Hours,
            refresh_token: Unit::Days,
            refresh_idle: Unit::Days,
        }
    }
}

/// What `PUT` takes; what is left out keeps its value.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    access_token: Option<i64>,
    id_token: Option<i64>,
    refresh_token: Option<i64>,
    refresh_idle: Option<i64>,
    #[serde(default)]
    units: Units,
}

/// The answer: each number in the largest unit that holds it whole.
#[derive(Debug, Serialize)]
pub struct Shown {
    client_id: ClientId,
    access_token: i64,
    id_token: i64,
    refresh_token: i64,
    refresh_idle: i64,
    units: Units,
    #[serde(skip_serializing_if = "Option::is_none")]
    families_shortened: Option<u64>,
}

fn whole(seconds: i64) -> (i64, Unit) {
    let unit =
        [Unit::Days, Unit::Hours, Unit::Minutes].into_iter().find(|unit| seconds % unit.seconds() == 0);
    let unit = unit.unwrap_or(Unit::Seconds);
    (seconds / unit.seconds(), unit)
}

fn show(client: ClientId, validity: &Validity, families_shortened: Option<u64>) -> Shown {
    let (access, id) = (whole(validity.access_token), whole(validity.id_token));
    let (refresh, idle) = (whole(validity.refresh_token), whole(validity.refresh_idle));
    Shown {
        client_id: client,
        access_token: access.0,
        id_token: id.0,
        refresh_token: refresh.0,
        refresh_idle: idle.0,
        units: Units {
            access_token: access.1,
            id_token: id.1,
            refresh_token: refresh.1,
            refresh_idle: idle.1,
        },
        families_shortened,
    }
}

pub async fn read(ctx: &Ctx, id: ClientId) -> Result<Shown> {
    Ok(show(id, &registered::get(ctx, id).await?.settings.validity, None))
}

/// # Errors
/// `invalid_request` naming the field out of bounds; 409 when the client changed meanwhile.
pub async fn change(ctx: &Ctx, actor: &Actor, id: ClientId, change: &Change) -> Result<Shown> {
    let client = registered::get(ctx, id).await?;
    let mut settings = client.settings;
    let old = settings.validity;
    let take =
        |value: Option<i64>, unit: Unit, kept: i64| value.map_or(kept, |n| n.saturating_mul(unit.seconds()));
    let units = &change.units;
    settings.validity = Validity {
        access_token: take(change.access_token, units.access_token, old.access_token),
        id_token: take(change.id_token, units.id_token, old.id_token),
        refresh_token: take(change.refresh_token, units.refresh_token, old.refresh_token),
        refresh_idle: take(change.refresh_idle, units.refresh_idle, old.refresh_idle),
    };
    settings.validity.check()?;
    let (new, settings) = (settings.validity, &settings);
    let detail = json!({"from": old, "to": new});
    let detail = &detail;
    let shortened = ctx
        .app
        .db
        .unit(|conn| async move {
            if clients::update_settings(&conn, ctx.project.id, ctx.now, id, client.version, settings).await?
                == 0
            {
                return Err(conflict("the client was changed by somebody else"));
            }
            let shortened = if new.refresh_token < old.refresh_token || new.refresh_idle < old.refresh_idle {
                let span = (new.refresh_token, new.refresh_idle);
                families::shorten(&conn, ctx.project.id, ctx.now, id, span).await?
            } else {
                0
            };
            let target = format!("client:{id}");
            let event = actor.did("client.token_validity_changed", &target).with(detail.clone());
            audit::append(&conn, ctx.project.id, ctx.now, &event).await?;
            Ok::<_, Error>(shortened)
        })
        .await?;
    Ok(show(id, &new, Some(shortened)))
}
