//! `token-validity`: how long a client's tokens live. From now on for new tokens; a shorter refresh lifetime caps living
//! families at once.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::{Error, Result, stale};
use crate::ids::ClientId;
use crate::model::project::next_number;
use crate::model::validity::Validity;
use crate::projects::admins::home;
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
    pub client_id: Option<ClientId>,
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
    families_shortened: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effective: Option<Effective>,
}

/// Which of the lifetimes that were changed hold for what lives already, and which for new tokens alone.
#[derive(Debug, Default, Serialize)]
pub struct Effective {
    at_once: Vec<&'static str>,
    new_tokens: Vec<&'static str>,
}

impl Effective {
    /// A refresh lifetime that got shorter caps living families; all else is for what is made from now on.
    fn of(old: &Validity, new: &Validity) -> Self {
        let mut effective = Self::default();
        for (name, old, new, caps) in [
            ("access_token", old.access_token, new.access_token, false),
            ("id_token", old.id_token, new.id_token, false),
            ("refresh_token", old.refresh_token, new.refresh_token, true),
            ("refresh_idle", old.refresh_idle, new.refresh_idle, true),
        ] {
            match old.cmp(&new) {
                Ordering::Equal => {}
                Ordering::Greater if caps => effective.at_once.push(name),
                _ => effective.new_tokens.push(name),
            }
        }
        effective
    }
}

fn whole(seconds: i64) -> (i64, Unit) {
    let unit =
        [Unit::Days, Unit::Hours, Unit::Minutes].into_iter().find(|unit| seconds % unit.seconds() == 0);
    let unit = unit.unwrap_or(Unit::Seconds);
    (seconds / unit.seconds(), unit)
}

fn show(client: ClientId, validity: &Validity, families_shortened: Option<i64>) -> Shown {
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
        effective: None,
    }
}

/// The client's version, and the lifetimes.
pub async fn read(ctx: &Ctx, id: ClientId) -> Result<(i64, Shown)> {
    let client = registered::get(ctx, id).await?;
    Ok((client.version, show(id, &client.settings.validity, None)))
}

/// The client's new version, and the lifetimes.
///
/// # Errors
/// `invalid_request` naming the field out of bounds; 412 or 409 when `seen`, or what was read, is no longer true.
pub async fn change(
    ctx: &Ctx,
    actor: &Actor,
    id: ClientId,
    seen: Option<i64>,
    change: &Change,
) -> Result<(i64, Shown)> {
    home::check_change_of_client(ctx, id).await?;
    let client = registered::get_seen(ctx, seen, id).await?;
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
    let shortens = new.refresh_token < old.refresh_token || new.refresh_idle < old.refresh_idle;
    let detail = json!({"from": old, "to": new});
    let detail = &detail;
    let shortened = ctx
        .app
        .db
        .unit(|conn| async move {
            let (project, now) = (ctx.project.id, ctx.now);
            if clients::update_settings(&conn, project, now, id, client.version, settings).await? == 0 {
                return Err(stale(seen.is_some()));
            }
            let mut shortened = 0;
            if shortens {
                let span = (new.refresh_token, new.refresh_idle);
                shortened = families::count_longer(&conn, project, now, id, span).await?;
                let version = clients::note_shortening(&conn, project, id).await?;
                families::shorten(&conn, project, now, (id, version), span).await?;
            }
            let target = format!("client:{id}");
            let event = actor.did("client.token_validity_changed", &target).with(detail.clone());
            audit::append(&conn, project, now, &event).await?;
            Ok::<_, Error>(shortened)
        })
        .await?;
    let shown = Shown { effective: Some(Effective::of(&old, &new)), ..show(id, &new, Some(shortened)) };
    Ok((next_number(client.version, ctx.now), shown))
}
