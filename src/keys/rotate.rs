//! The life of a key: next → current → retired → gone.
//!
//! - [`prepare`] publishes a next key; it signs ten minutes later at the earliest, when every JWK Set in use has it.
//! - [`promote`] lets it sign and retires its predecessor, which stays published until its last token has expired.
//! - [`remove`] takes a key away at once: its tokens are answered with `unknown_key`.
//! - [`rotate_due`] does what the clock asks of one project.

use super::generate::RsaSize;
use super::provide::Change;
use crate::error::{Code, Error, Result, conflict, not_found};
use crate::model::signing_key::{
    Alg, Due, KeyState, MOST_PER_ALG, PUBLISHED_AHEAD_SECONDS, RETIRED_SECONDS, SigningKey, due,
    next_signs_from,
};
use crate::model::timestamp::Timestamp;
use crate::secret::decode_base64url;
use crate::store::db::Conn;
use crate::store::signing_keys;

/// What happened to a project's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Prepared {
        alg: Alg,
        kid: String,
    },
    /// A next key is published, and has not been for long enough.
    Waiting {
        alg: Alg,
        signs_from: Timestamp,
    },
    Promoted {
        alg: Alg,
        kid: String,
        retired: String,
    },
    Removed {
        alg: Alg,
        kid: String,
    },
}

/// Publishes a next key of the algorithm and gives its `kid`. `size` `None`: as long as the key it will replace.
///
/// # Errors
/// 404 when the project does not sign with the algorithm; 409 when a next key is there already, or when so many retired
/// keys are still published that another would be one too many.
pub async fn prepare(change: &Change<'_>, alg: Alg, size: Option<RsaSize>) -> Result<String> {
    let keys = change.list().await?;
    let current = keys.iter().find(|key| key.alg == alg && key.is_current());
    let current = current.ok_or_else(|| not_found(format!("the project has no {} key", alg.as_str())))?;
    if keys.iter().filter(|key| key.alg == alg).count() >= MOST_PER_ALG {
        return Err(conflict(format!("{MOST_PER_ALG} keys of {} are still published", alg.as_str())));
    }
    let state = KeyState::Next { signs_from: change.now.plus_seconds(PUBLISHED_AHEAD_SECONDS) };
    let key = &change.make(alg, size.unwrap_or_else(|| size_of(current)), state).await?;
    let stored = change.app.db.unit(|conn| async move {
        change.begin(&conn).await?;
        change.insert(&conn, key).await
    });
    stored.await?;
    Ok(key.kid.clone())
}

/// The length of an RSA key; the default for all others.
fn size_of(key: &SigningKey) -> RsaSize {
    let jwk: serde_json::Value = serde_json::from_str(&key.public_jwk).unwrap_or_default();
    let modulus = jwk["n"].as_str().and_then(decode_base64url);
    modulus.and_then(|n| RsaSize::from_bits(n.len() * 8).ok()).unwrap_or_default()
}

/// Lets the next key sign and retires its predecessor. Of many callers one does it.
///
/// # Errors
/// 409 when no next key has been published for long enough.
pub async fn promote(change: &Change<'_>, alg: Alg) -> Result<Step> {
    let not_ready = || conflict(format!("no next key of {} is ready to sign", alg.as_str()));
    let (project, now) = (change.project, change.now);
    let until = now.plus_seconds(RETIRED_SECONDS);
    let promoted = change.app.db.unit(|conn| async move {
        change.begin(&conn).await?;
        let retired = signing_keys::retire_current(&conn, project, now, alg, until).await?;
        let retired = retired.ok_or_else(not_ready)?;
        let kid = signing_keys::promote(&conn, project, now, alg).await?.ok_or_else(not_ready)?;
        change.record(&conn, "signing_key.promoted", &kid, alg, "").await?;
        change.record(&conn, "signing_key.retired", &retired, alg, "").await?;
        Ok(Step::Promoted { alg, kid, retired })
    });
    promoted.await
}

/// Removes a key at once, for one that has leaked. When it was the one that signs, the next key takes over at once, or a
/// new one does; gives the `kid` of the key that signs instead.
///
/// # Errors
/// 404 for a key that the project does not have.
pub async fn remove(change: &Change<'_>, kid: &str, reason: &str) -> Result<Option<String>> {
    let missing = || not_found("no such key");
    let keys = change.list().await?;
    let key = keys.iter().find(|key| key.kid == kid).ok_or_else(missing)?;
    // Made even when a next key is there: that one may be gone by the time of the unit.
    let spare = match key.is_current() {
        true => Some(change.make(key.alg, size_of(key), KeyState::Current { since: change.now }).await?),
        false => None,
    };
    let spare = spare.as_ref();
    let removed = change.app.db.unit(|conn| async move {
        change.begin(&conn).await?;
        let removed = signing_keys::delete(&conn, change.project, kid).await?.ok_or_else(missing)?;
        let successor = match removed.is_current() {
            true => Some(succeed(change, &conn, removed.alg, spare).await?),
            false => None,
        };
        change.record(&conn, "signing_key.removed", kid, removed.alg, reason).await?;
        if let Some((kid, action)) = &successor {
            change.record(&conn, action, kid, removed.alg, reason).await?;
        }
        Ok(successor.map(|(kid, _)| kid))
    });
    removed.await
}

/// Puts a key in the place of a removed one: the next key, or else `spare`. Gives its `kid` and what happened to it.
async fn succeed(
    change: &Change<'_>,
    conn: &Conn,
    alg: Alg,
    spare: Option<&SigningKey>,
) -> Result<(String, &'static str)> {
    if let Some(kid) = signing_keys::promote(conn, change.project, change.now, alg).await? {
        return Ok((kid, "signing_key.promoted"));
    }
    // Without a spare it began to sign after it was looked at; a second try brings one.
    let spare = spare.ok_or_else(|| conflict("the key has just changed; try again"))?;
    signing_keys::insert(conn, change.project, spare).await?;
    Ok((spare.kid.clone(), "signing_key.created"))
}

/// The algorithms that the project signs with.
pub async fn signing_algs(change: &Change<'_>) -> Result<Vec<Alg>> {
    let keys = change.list().await?;
    let signs = |alg: &Alg| keys.iter().any(|key| key.alg == *alg && key.is_current());
    Ok(Alg::ALL.into_iter().filter(signs).collect())
}

/// The next step of a rotation that somebody asks for, however young the current key is. `size` as for [`prepare`].
///
/// # Errors
/// As [`prepare`] and [`promote`].
pub async fn advance(change: &Change<'_>, alg: Alg, size: Option<RsaSize>) -> Result<Step> {
    match next_signs_from(&change.list().await?, alg) {
        Some(signs_from) if signs_from <= change.now => promote(change, alg).await,
        Some(signs_from) => Ok(Step::Waiting { alg, signs_from }),
        None => prepare(change, alg, size).await.map(|kid| Step::Prepared { alg, kid }),
    }
}

/// Does what the clock asks of one project's keys; safe to repeat, and on many nodes at once.
pub async fn rotate_due(change: &Change<'_>) -> Result<Vec<Step>> {
    let keys = change.list().await?;
    let mut steps = Vec::new();
    for alg in Alg::ALL {
        let step = match due(&keys, alg, change.now) {
            Due::Nothing => continue,
            Due::Promote => promote(change, alg).await,
            Due::Prepare => prepare(change, alg, None).await.map(|kid| Step::Prepared { alg, kid }),
        };
        match step {
            Ok(step) => steps.push(step),
            // Another node or an operator was faster.
            Err(error) if error.code() == Code::Conflict => {}
            Err(error) => return Err(error),
        }
    }
    if keys.iter().any(|key| key.is_expired(change.now)) {
        steps.extend(remove_expired(change).await?);
    }
    Ok(steps)
}

async fn remove_expired(change: &Change<'_>) -> Result<Vec<Step>> {
    let removed = change.app.db.unit(|conn| async move {
        change.begin(&conn).await?;
        let gone = signing_keys::delete_expired(&conn, change.project, change.now).await?;
        for key in &gone {
            let reason = "its last token has expired";
            change.record(&conn, "signing_key.removed", &key.kid, key.alg, reason).await?;
        }
        Ok::<_, Error>(gone.into_iter().map(|key| Step::Removed { alg: key.alg, kid: key.kid }).collect())
    });
    removed.await
}
