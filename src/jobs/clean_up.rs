//! Removes what has ended, in batches, so that no statement holds many rows and a stop never waits long.

use std::fmt::Write;

use super::{Done, Run};
use crate::app::App;
use crate::error::{Error, Result};
use crate::model::delivery::LIFE_SECONDS;
use crate::model::timestamp::Timestamp;
use crate::store::db::Conn;
use crate::store::{bulk_deletions, erasing, expired};

/// Deleted users of one unit: each takes several statements.
const SMALL_BATCH: u8 = 20;

/// Rows of one kind that a deleted user may lose in one unit.
const MOST_BELONGINGS: u8 = 200;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// What ends, each with a rule of its own for how long it is kept.
#[derive(Clone, Copy)]
enum Kind {
    Codes,
    PushedRequests,
    InitialAccessTokens,
    DeviceGrants,
    UserCodeFailures,
    SignInFailures,
    KnownPlaces,
    MailLinks,
    Consents,
    ExpiredFamilies,
    RevokedFamilies,
    ExpiredBrowserSessions,
    EndedBrowserSessions,
    SignInsInProgress,
    RememberedDevices,
    RevokedTokens,
    UsedJtis,
    UnconfirmedDeletions,
    Confirmations,
    UnconfirmedBulk,
    ConfirmedBulk,
    DeadLetters,
    Messages,
    CaughtMessages,
    Users,
}

impl Kind {
    const ALL: [Self; 25] = [
        Self::Codes,
        Self::PushedRequests,
        Self::InitialAccessTokens,
        Self::DeviceGrants,
        Self::UserCodeFailures,
        Self::SignInFailures,
        Self::KnownPlaces,
        Self::MailLinks,
        Self::Consents,
        Self::ExpiredFamilies,
        Self::RevokedFamilies,
        Self::ExpiredBrowserSessions,
        Self::EndedBrowserSessions,
        Self::SignInsInProgress,
        Self::RememberedDevices,
        Self::RevokedTokens,
        Self::UsedJtis,
        Self::UnconfirmedDeletions,
        Self::Confirmations,
        Self::UnconfirmedBulk,
        Self::ConfirmedBulk,
        Self::DeadLetters,
        Self::Messages,
        Self::CaughtMessages,
        Self::Users,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Codes => "authorization_codes",
            Self::PushedRequests => "pushed_requests",
            Self::InitialAccessTokens => "initial_access_tokens",
            Self::DeviceGrants => "device_grants",
            Self::UserCodeFailures => "user_code_failures",
            Self::SignInFailures => "sign_in_failures",
            Self::KnownPlaces => "known_places",
            Self::MailLinks => "mail_links",
            Self::Consents => "consents of deleted clients",
            Self::ExpiredFamilies => "expired token_families",
            Self::RevokedFamilies => "revoked token_families",
            Self::ExpiredBrowserSessions => "expired browser_sessions",
            Self::EndedBrowserSessions => "ended browser_sessions",
            Self::SignInsInProgress => "sign_ins_in_progress",
            Self::RememberedDevices => "remembered_devices",
            Self::RevokedTokens => "revoked_tokens",
            Self::UsedJtis => "used_jtis",
            Self::UnconfirmedDeletions => "unconfirmed deletions",
            Self::Confirmations => "confirmations",
            Self::UnconfirmedBulk => "unconfirmed deletions of many",
            Self::ConfirmedBulk => "deletions of many",
            Self::DeadLetters => "bodies of dead letters",
            Self::Messages => "outbox",
            Self::CaughtMessages => "outbox of sandboxes",
            Self::Users => "deleted users",
        }
    }

    /// Seconds that it stays after its end.
    const fn kept_for(self) -> i64 {
        match self {
            // A second use still finds the code, and ends what the first one got.
            Self::Codes => DAY,
            // Whoever has begun with it has the hour of a form, and that of the page that asks to allow it. How many there
            // can be is bounded where they are pushed.
            Self::PushedRequests => 2 * HOUR,
            // Until then a device is told that its code has expired, and not that there is none.
            Self::DeviceGrants | Self::UserCodeFailures | Self::SignInFailures | Self::MailLinks
            // Each may have thousands of rows.
            | Self::UnconfirmedBulk => HOUR,
            Self::ExpiredFamilies | Self::RevokedFamilies | Self::Users | Self::ConfirmedBulk => 31 * DAY,
            // Their client never comes back; and whoever does, is a stranger by then.
            Self::Consents | Self::KnownPlaces => 0,
            // They are found until they end, and never after.
            Self::SignInsInProgress | Self::RememberedDevices => 0,
            // A code of its last second looks for it, and finds whether it was ended.
            Self::ExpiredBrowserSessions | Self::EndedBrowserSessions => HOUR,
            // Another node's clock may be behind, and would take the token for a living one.
            Self::RevokedTokens | Self::UsedJtis => HOUR,
            // Until then an admin sees how often it was used.
            Self::InitialAccessTokens | Self::UnconfirmedDeletions => DAY,
            Self::Messages | Self::Confirmations => 30 * DAY,
            Self::DeadLetters => LIFE_SECONDS,
            Self::CaughtMessages => 7 * DAY,
        }
    }

    const fn batch(self) -> u64 {
        match self {
            Self::Users => SMALL_BATCH as u64,
            Self::UnconfirmedBulk | Self::ConfirmedBulk => 1,
            _ => expired::BATCH,
        }
    }

    /// Removes one batch of what had ended before `end`; gives the number of rows.
    async fn remove(self, app: &App, now: Timestamp) -> Result<u64> {
        let end = now.plus_seconds(-self.kept_for());
        let one = |conn: Conn| async move {
            match self {
                Self::Codes => expired::delete_codes(&conn, end).await,
                Self::PushedRequests => expired::delete_pushed_requests(&conn, end).await,
                Self::InitialAccessTokens => expired::delete_initial_access_tokens(&conn, end).await,
                Self::DeviceGrants => expired::delete_device_grants(&conn, end).await,
                Self::UserCodeFailures => expired::delete_user_code_failures(&conn, end).await,
                Self::SignInFailures => expired::delete_sign_in_failures(&conn, end).await,
                Self::KnownPlaces => expired::delete_known_places(&conn, end).await,
                Self::MailLinks => expired::delete_mail_links(&conn, end).await,
                Self::Consents => expired::delete_consents_of_deleted_clients(&conn).await,
                Self::ExpiredFamilies => expired::delete_expired_families(&conn, end).await,
                Self::RevokedFamilies => expired::delete_revoked_families(&conn, end).await,
                Self::ExpiredBrowserSessions => expired::delete_expired_browser_sessions(&conn, end).await,
                Self::EndedBrowserSessions => expired::delete_ended_browser_sessions(&conn, end).await,
                Self::SignInsInProgress => expired::delete_sign_ins_in_progress(&conn, end).await,
                Self::RememberedDevices => expired::delete_remembered_devices(&conn, end).await,
                Self::RevokedTokens => expired::delete_revoked_tokens(&conn, end).await,
                Self::UsedJtis => expired::delete_used_jtis(&conn, end).await,
                Self::UnconfirmedDeletions => expired::delete_unconfirmed_deletions(&conn, end).await,
                Self::Confirmations => expired::delete_confirmations(&conn, end).await,
                Self::DeadLetters => expired::erase_dead_letters(&conn, end).await,
                Self::Messages => expired::delete_finished_messages(&conn, end).await,
                Self::CaughtMessages => expired::delete_caught_messages(&conn, end).await,
                Self::UnconfirmedBulk => remove_bulk(&conn, end, false).await,
                Self::ConfirmedBulk => remove_bulk(&conn, end, true).await,
                Self::Users => remove_users(&conn, end).await,
            }
        };
        match self {
            Self::Users | Self::UnconfirmedBulk | Self::ConfirmedBulk => app.db.unit(one).await,
            _ => app.db.write(one).await,
        }
    }
}

/// Deletion left the tombstone alone, but what was written at the same moment may have come after it.
async fn remove_users(conn: &Conn, end: Timestamp) -> Result<u64> {
    let mut removed = 0;
    for user in expired::list_tombstones(conn, end, SMALL_BATCH.into()).await? {
        // What is left waits for the next run, and the tombstone with it.
        if !erasing::delete_belongings(conn, user.project_id, user.id, i64::from(MOST_BELONGINGS)).await? {
            removed += expired::delete_tombstone(conn, user.project_id, end, user.id).await?;
        }
    }
    Ok(removed)
}

/// One deletion of many, or the first of its users.
async fn remove_bulk(conn: &Conn, end: Timestamp, confirmed: bool) -> Result<u64> {
    let Some(bulk) = bulk_deletions::list_ended(conn, end, confirmed).await?.pop() else { return Ok(0) };
    bulk_deletions::remove(conn, bulk.project_id, bulk.id).await?;
    Ok(1)
}

/// Everything that has ended, kind by kind. A kind that fails does not keep the others from being removed.
pub(super) async fn clean_up(run: &Run) -> Result<Done> {
    let now = run.app.clock.now();
    let (mut summary, mut failure, mut more) = (String::new(), None, false);
    for kind in Kind::ALL {
        match all_of(run, kind, now).await {
            Ok((0, left)) => more |= left,
            Ok((removed, left)) => {
                more |= left;
                let comma = if summary.is_empty() { "" } else { ", " };
                write!(summary, "{comma}{removed} {}", kind.name()).map_err(Error::internal)?;
            }
            Err(error) => {
                tracing::warn!(kind = kind.name(), code = error.code().as_str(), "not cleaned up");
                failure.get_or_insert(error);
            }
        }
    }
    match failure {
        Some(error) => Err(error),
        None if summary.is_empty() => Ok(Done { summary: "nothing had ended".into(), more }),
        None => Ok(Done { summary: format!("removed {summary}"), more }),
    }
}

/// Batch after batch until none is left or the run has to end: the rows removed, and whether there may be more.
async fn all_of(run: &Run, kind: Kind, now: Timestamp) -> Result<(u64, bool)> {
    let mut removed = 0;
    while run.may_go_on() {
        let batch = kind.remove(&run.app, now).await?;
        removed += batch;
        if batch < kind.batch() {
            return Ok((removed, false));
        }
    }
    Ok((removed, true))
}
