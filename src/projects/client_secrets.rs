//! Changing a client's secret without a gap: two slots, so that the old one may live on while the new one is brought out.

use serde_json::json;

use super::clients::{PREFIX, get_seen, target};
use crate::app::Ctx;
use crate::audit::{self, Actor};
use crate::error::{Error, Result, conflict, invalid_request, not_found, stale};
use crate::ids::ClientId;
use crate::model::client::Client;
use crate::model::project::next_number;
use crate::secret::Secret;
use crate::store::client_secrets::{self, StoredSecret};
use crate::store::clients;
use crate::store::db::Conn;
use crate::store::endings;

/// An old secret may live on for at most this long: 30 days.
pub const MOST_SECONDS: i64 = 30 * 86_400;

/// What becomes of the secret that is not replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Old {
    /// It lives until it is removed.
    Stays,
    /// It lives for this many seconds more; 0 ends it now.
    Lives(i64),
    /// Others know it: it ends now, and so does everything granted to the client.
    Leaked,
}

pub struct Rotated {
    pub client: Client,
    pub secret: Secret,
    pub slot: i64,
}

/// The live secrets: slots and times, never the secrets themselves.
pub async fn list_secrets(ctx: &Ctx, id: ClientId) -> Result<Vec<StoredSecret>> {
    let project = ctx.project.id;
    ctx.app.db.read(|conn| async move { client_secrets::list_live(&conn, project, ctx.now, id).await }).await
}

/// Makes a new secret, in the free slot or in the place of the older one. It is given once.
///
/// # Errors
/// `invalid_request` for a public client and for a time out of bounds; 412 or 409 when the client changed meanwhile.
pub async fn rotate_secret(
    ctx: &Ctx,
    actor: &Actor,
    seen: Option<i64>,
    id: ClientId,
    old: Old,
) -> Result<Rotated> {
    if matches!(old, Old::Lives(seconds) if !(0..=MOST_SECONDS).contains(&seconds)) {
        let bound = "old_secret_lives_seconds must lie between 0 and 2592000";
        return Err(Error::invalid_field("old_secret_lives_seconds", bound));
    }
    let mut client = get_seen(ctx, seen, id).await?;
    if client.is_public() {
        return Err(invalid_request("a public client has no secret"));
    }
    if !client.has_secret() {
        return Err(invalid_request("the client proves itself by its keys and has no secret"));
    }
    let secret = ctx.app.entropy.token(PREFIX)?;
    let (asked, hash, leaked) = (&client, &secret.sha256(), old == Old::Leaked);
    let slot = ctx
        .app
        .db
        .unit(|conn| async move {
            let project = ctx.project.id;
            // The client's row first: it orders two rotations, and the second one sees the first one's slot.
            if leaked {
                endings::begin_for_client(&conn, project, ctx.now, id).await?;
            }
            if clients::update(&conn, project, ctx.now, asked, leaked).await? == 0 {
                return Err(stale(seen.is_some()));
            }
            let secrets = client_secrets::list_live(&conn, project, ctx.now, id).await?;
            let slot = slot_for_new(&secrets);
            for other in secrets.iter().filter(|secret| secret.slot != slot) {
                end_old(ctx, &conn, id, other.slot, old).await?;
            }
            client_secrets::put(&conn, project, ctx.now, id, slot, hash).await?;
            let target = target(id);
            let event = actor.did("client.secret_rotated", &target).with(detail(slot, old));
            audit::append(&conn, project, ctx.now, &event).await?;
            Ok(slot)
        })
        .await?;
    client.version = next_number(client.version, ctx.now);
    client.updated_at = ctx.now;
    Ok(Rotated { client, secret, slot })
}

fn slot_for_new(live: &[StoredSecret]) -> i64 {
    match live {
        [first, second] if second.created_at < first.created_at => second.slot,
        [first, _] => first.slot,
        [only] => 3 - only.slot,
        _ => 1,
    }
}

async fn end_old(ctx: &Ctx, conn: &Conn, id: ClientId, slot: i64, old: Old) -> Result<()> {
    let project = ctx.project.id;
    match old {
        Old::Stays => return Ok(()),
        Old::Lives(0) | Old::Leaked => client_secrets::delete(conn, project, id, slot).await?,
        Old::Lives(seconds) => {
            client_secrets::end_at(conn, project, id, slot, ctx.now.plus_seconds(seconds)).await?
        }
    };
    Ok(())
}

fn detail(slot: i64, old: Old) -> serde_json::Value {
    match old {
        Old::Stays => json!({"slot": slot, "leaked": false}),
        Old::Lives(seconds) => json!({"slot": slot, "leaked": false, "old_secret_lives_seconds": seconds}),
        Old::Leaked => json!({"slot": slot, "leaked": true}),
    }
}

/// Removes a spare secret.
///
/// # Errors
/// 404 for an empty slot; 409 for the only secret; 412 or 409 when the client changed meanwhile.
pub async fn remove_secret(
    ctx: &Ctx,
    actor: &Actor,
    seen: Option<i64>,
    id: ClientId,
    slot: i64,
) -> Result<Client> {
    let mut client = get_seen(ctx, seen, id).await?;
    let asked = &client;
    ctx.app
        .db
        .unit(|conn| async move {
            let project = ctx.project.id;
            if clients::update(&conn, project, ctx.now, asked, false).await? == 0 {
                return Err(stale(seen.is_some()));
            }
            let live = client_secrets::list_live(&conn, project, ctx.now, id).await?;
            match live.iter().any(|secret| secret.slot == slot) {
                false => return Err(not_found("there is no secret in this slot")),
                true if live.len() == 1 => {
                    return Err(conflict("it is the client's only secret: rotate it, or disable the client"));
                }
                true => client_secrets::delete(&conn, project, id, slot).await?,
            };
            let target = target(id);
            let event = actor.did("client.secret_removed", &target).with(json!({"slot": slot}));
            audit::append(&conn, project, ctx.now, &event).await.map(|_| ())
        })
        .await?;
    client.version = next_number(client.version, ctx.now);
    client.updated_at = ctx.now;
    Ok(client)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::timestamp::Timestamp;

    fn secret(slot: i64, made: i64) -> StoredSecret {
        let created_at = Timestamp::from_unix(made);
        StoredSecret { slot, hash: Vec::new(), created_at, expires_at: None }
    }

    #[test]
    fn a_new_secret_takes_the_free_slot_or_the_older_one() {
        for (live, slot) in [
            (vec![], 1),
            (vec![secret(1, 5)], 2),
            (vec![secret(2, 5)], 1),
            (vec![secret(1, 5), secret(2, 9)], 1),
            (vec![secret(1, 9), secret(2, 5)], 2),
        ] {
            assert_eq!(slot_for_new(&live), slot, "{live:?}");
        }
    }
}
