//! The stream of sign-ins, refreshes and failures. It has no chain and waits for nobody: an event is noted in memory, and
//! each node writes what it has noted every two seconds, in batches. A crash loses the last seconds of this stream, and of
//! nothing else; when more comes than can be written, the rest is dropped and counted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use crate::app::{App, Ctx};
use crate::audit;
use crate::error::{Error, Result};
use crate::ids::{ClientId, ProjectId, UserId};
use crate::keys::master::Place;
use crate::model::timestamp::Timestamp;
use crate::store::events::{self, EventRow, Filter};

/// So many are remembered until they are written.
const MOST_NOTED: usize = 10_000;

/// Rows of one statement.
const BATCH: usize = 100;

const PAUSE: Duration = Duration::from_secs(2);

/// What somebody did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    SignIn,
    /// A code becomes tokens.
    Exchange,
    Refresh,
    /// A client that did not prove itself; what went well tells of itself.
    ClientAuthentication,
    /// Of a user, a client or a project, that was refused; what goes well is in the audit log.
    Deletion,
}

impl Kind {
    pub const ALL: [Self; 5] =
        [Self::SignIn, Self::Exchange, Self::Refresh, Self::ClientAuthentication, Self::Deletion];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::Exchange => "exchange",
            Self::Refresh => "refresh",
            Self::ClientAuthentication => "client_authentication",
            Self::Deletion => "deletion",
        }
    }
}

/// Refused clients that a node notes in a minute, and refused deletions: a refusal costs whoever provokes it nothing, so it must
/// not fill the store.
const MOST_REFUSED: u32 = 100;

/// The outcome of what went well; all others say why not.
pub const OK: &str = "ok";

/// From where a request comes.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    pub address: String,
    pub user_agent: String,
}

tokio::task_local! {
    /// Of the request that this task serves.
    pub static ORIGIN: Origin;
}

struct Noted {
    project: ProjectId,
    at: Timestamp,
    kind: Kind,
    outcome: &'static str,
    client: Option<ClientId>,
    user: Option<UserId>,
    origin: Origin,
}

/// What this node has noted and not written yet.
#[derive(Default)]
pub struct Events {
    noted: Mutex<Vec<Noted>>,
    dropped: AtomicU64,
    refused_clients: Mutex<Minute>,
    refused_deletions: Mutex<Minute>,
}

/// What was noted within a minute.
#[derive(Default)]
struct Minute {
    number: i64,
    noted: u32,
}

impl Minute {
    /// Whether one more may be noted.
    fn has_room(&mut self, now: Timestamp) -> bool {
        let number = now.unix() / 60;
        if number != self.number {
            *self = Self { number, noted: 0 };
        }
        self.noted += u32::from(self.noted <= MOST_REFUSED);
        self.noted <= MOST_REFUSED
    }
}

impl Events {
    /// Events of this node that were not kept, since it started.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn noted(&self) -> MutexGuard<'_, Vec<Noted>> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, event: Noted) {
        let mut noted = self.noted();
        if noted.len() < MOST_NOTED {
            noted.push(event);
        } else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes a batch back that could not be written, as far as there is room.
    fn put_back(&self, mut batch: Vec<Noted>) {
        let mut noted = self.noted();
        let room = MOST_NOTED.saturating_sub(noted.len()).min(batch.len());
        self.dropped.fetch_add((batch.len() - room) as u64, Ordering::Relaxed);
        batch.truncate(room);
        noted.extend(batch);
    }
}

/// Notes what happened, unless the project keeps no such events.
pub fn note(ctx: &Ctx, kind: Kind, outcome: &'static str, client: Option<ClientId>, user: Option<UserId>) {
    let origin = ORIGIN.try_with(Clone::clone).unwrap_or_default();
    push(ctx, kind, outcome, (client, user), origin);
}

fn push(
    ctx: &Ctx,
    kind: Kind,
    outcome: &'static str,
    (client, user): (Option<ClientId>, Option<UserId>),
    origin: Origin,
) {
    if ctx.project.settings.retention.sign_in_events_days == 0 {
        return;
    }
    ctx.app.events.push(Noted { project: ctx.project.id, at: ctx.now, kind, outcome, client, user, origin });
}

/// Notes that somebody did not prove to be a client that there is; not every time, if it happens all the time.
pub fn note_refused_client(ctx: &Ctx, client: ClientId) {
    if has_room(&ctx.app.events.refused_clients, ctx.wall) {
        note(ctx, Kind::ClientAuthentication, "refused", Some(client), None);
    }
}

/// Notes that somebody was not let delete. Not from where: that would outlive an admin who is a person, whom the stream does not
/// know; the audit log has it.
pub fn note_refused_deletion(ctx: &Ctx) {
    if has_room(&ctx.app.events.refused_deletions, ctx.wall) {
        push(ctx, Kind::Deletion, "refused", (None, None), Origin::default());
    }
}

fn has_room(minute: &Mutex<Minute>, now: Timestamp) -> bool {
    minute.lock().unwrap_or_else(PoisonError::into_inner).has_room(now)
}

/// Writes what this node has noted.
///
/// # Errors
/// The store is away; what is not written stays noted.
pub async fn flush(app: &App) -> Result<()> {
    loop {
        let batch: Vec<Noted> = {
            let mut noted = app.events.noted();
            let most = noted.len().min(BATCH);
            noted.drain(..most).collect()
        };
        if batch.is_empty() {
            return Ok(());
        }
        let rows = batch.iter().map(|event| row(app, event)).collect::<Result<Vec<_>>>()?;
        let rows = rows.as_slice();
        let written = app.db.write(|conn| async move { events::insert(&conn, rows).await }).await;
        if let Err(error) = written {
            app.events.put_back(batch);
            return Err(error);
        }
    }
}

fn row(app: &App, event: &Noted) -> Result<EventRow> {
    let id: Uuid = app.entropy.id(event.at)?;
    let name = id.to_string();
    let Origin { address, user_agent } = &event.origin;
    let sealed = match address.is_empty() && user_agent.is_empty() {
        true => None,
        false => {
            let plain = json!({"address": address, "user_agent": user_agent}).to_string();
            Some(app.master_keys.seal(&app.entropy, &place(event.project, &name), plain.as_bytes())?)
        }
    };
    Ok(EventRow {
        project_id: event.project,
        id,
        at: event.at,
        kind: event.kind.as_str().into(),
        outcome: event.outcome.into(),
        client_id: event.client,
        user_id: event.user,
        sealed,
    })
}

/// Where an origin is sealed.
pub fn place(project: ProjectId, row: &str) -> Place<'_> {
    Place { table: "events", project, row, column: "sealed" }
}

/// Writes every two seconds, until the node stops.
pub async fn keep_flushing(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    let mut told = 0;
    while !*stop.borrow() {
        if let Err(error) = flush(&app).await {
            tracing::warn!(code = error.code().as_str(), "sign-in events wait to be written");
        }
        let dropped = app.events.dropped();
        if dropped > told {
            tracing::warn!(
                dropped = dropped - told,
                "sign-in events were dropped: more came than could be written"
            );
            told = dropped;
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            _ = stop.changed() => {}
        }
    }
}

/// An event as the API shows it.
#[derive(Debug, Serialize)]
pub struct Shown {
    pub id: Uuid,
    pub at: Timestamp,
    pub kind: String,
    pub outcome: String,
    pub client_id: Option<ClientId>,
    /// As the audit log names users.
    pub user: Option<String>,
    /// Address and user agent.
    pub personal: Option<Value>,
}

/// Events of the project, newest first, beyond the one with the id `after`.
pub async fn list(ctx: &Ctx, filter: &Filter, after: Option<Uuid>, limit: i64) -> Result<Vec<Shown>> {
    let project = ctx.project.id;
    let list = |conn| async move { events::list(&conn, project, filter, after, limit).await };
    let rows = ctx.app.db.read(list).await?;
    Ok(rows.into_iter().map(|row| shown(ctx, row)).collect())
}

/// One that does not open must not hide the others.
fn shown(ctx: &Ctx, row: EventRow) -> Shown {
    let open = |sealed: &Vec<u8>| -> Result<Value> {
        let plain = ctx.app.master_keys.open(&place(ctx.project.id, &row.id.to_string()), sealed)?;
        serde_json::from_slice(&plain).map_err(Error::internal)
    };
    let opened = row.sealed.as_ref().map(open).transpose();
    let opened =
        opened.inspect_err(|_| tracing::error!(id = %row.id, "an event's sealed part does not open"));
    Shown {
        personal: opened.ok().flatten(),
        id: row.id,
        at: row.at,
        kind: row.kind,
        outcome: row.outcome,
        client_id: row.client_id,
        user: row.user_id.map(|user| audit::user_name(ctx, user)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(micros: i64) -> Noted {
        Noted {
            project: ProjectId::INSTANCE,
            at: Timestamp::from_micros(micros),
            kind: Kind::Refresh,
            outcome: OK,
            client: None,
            user: None,
            origin: Origin::default(),
        }
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let events = Events::default();
        for n in 0..MOST_NOTED as i64 + 3 {
            events.push(noted(n));
        }
        assert_eq!((events.noted().len(), events.dropped()), (MOST_NOTED, 3));
        let batch: Vec<_> = events.noted().drain(..100).collect();
        events.push(noted(0));
        events.put_back(batch);
        assert_eq!((events.noted().len(), events.dropped()), (MOST_NOTED, 4));
    }
}
