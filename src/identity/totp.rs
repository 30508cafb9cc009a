//! Codes of authenticator apps (RFC 6238): six digits, SHA-1, 30 seconds, which is what every app does.
//!
//! A new seed is stored when its app has shown a code. Until then it travels sealed with whoever enrols it.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use totp_rs::{Builder, Totp};
use zeroize::Zeroizing;

use super::qr;
use super::spend::Spend;
use crate::app::Ctx;
use crate::error::{Error, Result};
use crate::ids::{FactorId, ProjectId, UserId};
use crate::keys::master::Place;
use crate::model::timestamp::Timestamp;
use crate::secret::{Secret, decode_base64url, encode_base64url, sha256};
use crate::store::db::Conn;
use crate::store::totp_factors::{self, TotpFactor};
use crate::store::used_jtis::{self, Kind};

/// RFC 4226, 4: 160 bits are recommended.
const SEED_BYTES: usize = 20;
/// How long somebody may take to set an app up.
const ENROLMENT_SECONDS: i64 = 900;
/// Of each name in the URI; and what they may make there, where a character of many languages takes nine.
const MOST_CHARACTERS: usize = 40;
const MOST_ENCODED: usize = 90;

/// An app to be: what it is told, and what comes back with its first code.
pub struct Enrolment {
    /// For apps that cannot see the picture: base32 in groups of four.
    pub key: String,
    /// `otpauth://…`, for apps on the same device.
    pub uri: String,
    pub sealed: String,
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    seed: String,
    expires_at: Timestamp,
}

impl Enrolment {
    /// A new seed for an account that people see by this name.
    pub fn begin(ctx: &Ctx, user: UserId, account: &str) -> Result<Self> {
        let seed = Zeroizing::new(ctx.app.entropy.bytes::<SEED_BYTES>()?);
        let content =
            Sealed { seed: encode_base64url(&seed[..]), expires_at: ctx.now.plus_seconds(ENROLMENT_SECONDS) };
        let plain = Zeroizing::new(serde_json::to_vec(&content).map_err(Error::internal)?);
        let row = user.to_string();
        let sealed =
            ctx.app.master_keys.seal(&ctx.app.entropy, &enrolment_place(ctx.project.id, &row), &plain)?;
        Self::shown(ctx, &seed[..], account, encode_base64url(&sealed))
    }

    /// The same again, after a code that was wrong. `None`: it is not this user's, or too old.
    pub fn again(ctx: &Ctx, user: UserId, account: &str, sealed: &str) -> Result<Option<Self>> {
        let Some((seed, _)) = opened(ctx, user, sealed) else { return Ok(None) };
        Self::shown(ctx, &seed, account, sealed.to_owned()).map(Some)
    }

    fn shown(ctx: &Ctx, seed: &[u8], account: &str, sealed: String) -> Result<Self> {
        let secret = totp(seed)?.secret().to_base32();
        let (issuer, account) = (in_uri(&ctx.project.name), in_uri(account));
        let uri = format!("otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}");
        let groups: Vec<&str> =
            secret.as_bytes().chunks(4).filter_map(|group| std::str::from_utf8(group).ok()).collect();
        Ok(Self { key: groups.join(" "), uri, sealed })
    }

    /// The picture that apps scan, as SVG without a style.
    pub fn picture(&self) -> Result<String> {
        qr::draw(&self.uri)
    }

    /// The app with this seed, once it has shown a code, which counts no more then. `None`: the code is wrong, or too late.
    pub fn confirmed(
        ctx: &Ctx,
        user: UserId,
        sealed: &str,
        code: &Secret,
        name: &str,
    ) -> Result<Option<Confirmed>> {
        let Some((seed, expires_at)) = opened(ctx, user, sealed) else { return Ok(None) };
        let Some(step) = step_of(ctx, &seed, code)? else { return Ok(None) };
        let id: FactorId = ctx.app.entropy.id(ctx.now)?;
        let row = id.to_string();
        let sealed_seed = ctx.app.master_keys.seal(&ctx.app.entropy, &place(ctx.project.id, &row), &seed)?;
        let app = TotpFactor {
            id,
            name: name.to_owned(),
            sealed_seed,
            last_step: step,
            created_at: ctx.now,
            last_used_at: Some(ctx.now),
        };
        Ok(Some(Confirmed { app, seed_hash: sha256(&seed), expires_at }))
    }
}

/// An app that has shown its first code, and is not yet stored.
pub struct Confirmed {
    pub app: TotpFactor,
    seed_hash: Vec<u8>,
    expires_at: Timestamp,
}

impl Confirmed {
    /// Uses the enrolment up, in the unit that stores the app: the form may come twice, and a seed that was stored twice would
    /// accept each code twice. `false`: somebody was faster.
    pub(super) async fn take(&self, conn: &Conn, ctx: &Ctx) -> Result<bool> {
        let (project, kind) = (ctx.project.id, Kind::TotpEnrolment);
        Ok(used_jtis::insert(conn, project, kind, &self.seed_hash, self.expires_at).await? == 1)
    }
}

/// What a code of one of the user's apps uses up. `None`: it is no code of now, or was accepted before.
pub(super) async fn check(ctx: &Ctx, user: UserId, code: &Secret) -> Result<Option<Spend>> {
    let project = ctx.project.id;
    let apps = ctx.app.db.read(|conn| async move { totp_factors::list(&conn, project, user).await }).await?;
    for app in apps {
        let seed = ctx.app.master_keys.open(&place(project, &app.id.to_string()), &app.sealed_seed)?;
        match step_of(ctx, &seed, code)? {
            Some(step) if step > app.last_step => return Ok(Some(Spend::Totp { id: app.id, step })),
            _ => {}
        }
    }
    Ok(None)
}

/// The time step that the code is of: this one, the one before or the one after (RFC 6238, 5.2).
fn step_of(ctx: &Ctx, seed: &[u8], code: &Secret) -> Result<Option<i64>> {
    let digits = Zeroizing::new(code.expose().split_whitespace().collect::<String>());
    // An app lives in the time of everybody, whatever the clock of a sandbox says.
    let now = u64::try_from(ctx.wall.unix()).unwrap_or(0);
    // Compared in constant time.
    let step = totp(seed)?.check(&digits, now);
    Ok(step.and_then(|step| i64::try_from(step).ok()))
}

/// A name as the URI has it, cut so that the picture stays one that a camera reads and a page carries. A colon parts names.
fn in_uri(name: &str) -> String {
    let mut encoded = String::new();
    for character in name.chars().take(MOST_CHARACTERS) {
        let character = if character == ':' { ' ' } else { character };
        let next = utf8_percent_encode(character.encode_utf8(&mut [0; 4]), NON_ALPHANUMERIC).to_string();
        if encoded.len() + next.len() > MOST_ENCODED {
            break;
        }
        encoded.push_str(&next);
    }
    encoded
}

fn totp(seed: &[u8]) -> Result<Totp> {
    Builder::new().with_secret(seed).build().map_err(|_| Error::internal("a TOTP seed is too short"))
}

/// The seed, and until when it may be confirmed.
fn opened(ctx: &Ctx, user: UserId, sealed: &str) -> Option<(Zeroizing<Vec<u8>>, Timestamp)> {
    let row = user.to_string();
    let place = enrolment_place(ctx.project.id, &row);
    let plain = ctx.app.master_keys.open(&place, &decode_base64url(sealed)?).ok()?;
    let content: Sealed = serde_json::from_slice(&plain).ok()?;
    let seed = Zeroizing::new(decode_base64url(&content.seed)?);
    (content.expires_at > ctx.now).then_some((seed, content.expires_at))
}

fn enrolment_place(project: ProjectId, user: &str) -> Place<'_> {
    Place { table: "totp_enrolment", project, row: user, column: "seed" }
}

pub(crate) fn place(project: ProjectId, row: &str) -> Place<'_> {
    Place { table: "totp_factors", project, row, column: "sealed_seed" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_between_characters() {
        assert_eq!(in_uri("Shop: 1"), "Shop%20%201");
        assert_eq!(in_uri(&"x".repeat(200)), "x".repeat(40));
        assert_eq!(in_uri(&"\u{5e97}".repeat(200)), "%E5%BA%97".repeat(10));
        assert_eq!(in_uri(&"\u{1f600}".repeat(200)), "%F0%9F%98%80".repeat(7));
    }
}
