//! From where an act came: address and user agent of the request behind an entry. They are sealed, and the chain covers a
//! commitment to the blob. Where a person acts, the key is the person's own, of the project that they live in, which for admins
//! is another one than the chain's; their deletion destroys the key and empties the columns. Elsewhere it is the master key.
//!
//! One request may leave several entries: a blob belongs to the request, and to whose it is.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::app::App;
use crate::error::{Error, Result};
use crate::events::ORIGIN;
use crate::ids::{ProjectId, UserId};
use crate::keys::data_key::DataKey;
use crate::keys::master::{MasterKeys, Place};
use crate::model::timestamp::Timestamp;
use crate::secret::sha256;
use crate::store::db::{Conn, execute};
use crate::store::user_keys;

/// The first byte of a blob: what seals the rest.
const BY_DATA_KEY: u8 = 1;
const BY_MASTER_KEY: u8 = 2;

/// A person, and the project that they live in.
pub type Owner = (ProjectId, UserId);

/// What an actor tells of where its request came from.
#[derive(Clone, Default)]
pub enum Origin {
    /// There is no request behind it.
    #[default]
    Nowhere,
    Sealed(Arc<Kept>),
    OfPerson(Arc<Told>),
}

/// An origin as an entry keeps it.
pub struct Kept {
    pub(super) owner: Option<Owner>,
    pub(super) blob: Vec<u8>,
    pub(super) commitment: Vec<u8>,
}

/// An origin that the key of a person is to seal.
pub struct Told {
    app: Arc<App>,
    owner: Owner,
    request_id: String,
    plain: Zeroizing<Vec<u8>>,
}

/// Never what is personal.
impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nowhere => "Nowhere",
            Self::Sealed(_) => "Sealed",
            Self::OfPerson(_) => "OfPerson",
        })
    }
}

impl Origin {
    /// Of the request that is served, where a person acts.
    pub fn of_person(app: &Arc<App>, owner: Owner, request_id: &str) -> Self {
        let told = |plain| Told { app: app.clone(), owner, request_id: request_id.into(), plain };
        served().map_or(Self::Nowhere, |plain| Self::OfPerson(Arc::new(told(plain))))
    }

    /// Of the request that is served, where no person acts. It goes with `owner` all the same, whose browser it may have been.
    pub fn of_program(app: &App, owner: Option<Owner>, request_id: &str) -> Self {
        let Some(plain) = served() else { return Self::Nowhere };
        let sealed = app.master_keys.seal(&app.entropy, &place(owner, request_id), &plain);
        let sealed = sealed.map(|sealed| Kept::new(owner, BY_MASTER_KEY, &sealed));
        sealed.map_or_else(unsealed, |kept| Self::Sealed(Arc::new(kept)))
    }

    /// For an entry of a unit. A person's key is read here, and the blob made, and not before the unit: so both are of one
    /// moment, whoever is made or deleted in it; and that costs microseconds.
    pub(super) async fn keep(&self, conn: &Conn, now: Timestamp) -> Result<Option<Arc<Kept>>> {
        match self {
            Self::Nowhere => Ok(None),
            Self::Sealed(kept) => Ok(Some(kept.clone())),
            Self::OfPerson(told) => told.keep(conn, now).await.map(|kept| kept.map(Arc::new)),
        }
    }
}

/// An act must not wait for the record of it to be mended.
fn unsealed(error: Error) -> Origin {
    tracing::warn!(code = error.code().as_str(), "an act is recorded without where it came from");
    Origin::Nowhere
}

impl Told {
    async fn keep(&self, conn: &Conn, now: Timestamp) -> Result<Option<Kept>> {
        let (keys, entropy, (project, user)) = (&self.app.master_keys, &self.app.entropy, self.owner);
        let mut found = user_keys::find(conn, project, user).await?;
        if found.is_none() {
            let fresh = DataKey::generate(entropy)?.wrap(keys, entropy, project, user)?;
            user_keys::insert(conn, project, now, user, &fresh).await?;
            // Read back: another node's key may have been first, and whoever is deleted has none.
            found = user_keys::find(conn, project, user).await?;
        }
        let Some(found) = found else { return Ok(None) };
        let seal = || {
            let key = DataKey::unwrap(keys, project, user, &found)?;
            key.seal(entropy, &place(Some(self.owner), &self.request_id), &self.plain)
        };
        Ok(match seal() {
            Ok(sealed) => Some(Kept::new(Some(self.owner), BY_DATA_KEY, &sealed)),
            Err(error) => {
                unsealed(error);
                None
            }
        })
    }
}

impl Kept {
    fn new(owner: Option<Owner>, by: u8, sealed: &[u8]) -> Self {
        let blob = [&[by], sealed].concat();
        Self { owner, commitment: commitment(&blob), blob }
    }
}

/// Address and user agent of the request that this task serves, if either is known.
fn served() -> Option<Zeroizing<Vec<u8>>> {
    let told = ORIGIN.try_with(|origin| {
        let is_known = !origin.address.is_empty() || !origin.user_agent.is_empty();
        is_known.then(|| json!({"address": origin.address, "user_agent": origin.user_agent}).to_string())
    });
    told.ok().flatten().map(|text| Zeroizing::new(text.into_bytes()))
}

/// Opens what an entry keeps. `sealed_key` is the owner's row in `user_keys`.
///
/// # Errors
/// A blob that was altered, or that belongs to another request or another person.
pub fn open_origin(
    keys: &MasterKeys,
    owner: Option<Owner>,
    request_id: &str,
    sealed_key: Option<&[u8]>,
    blob: &[u8],
) -> Result<Value> {
    let place = place(owner, request_id);
    let plain = match (blob.split_first(), owner, sealed_key) {
        (Some((&BY_MASTER_KEY, sealed)), ..) => keys.open(&place, sealed)?,
        (Some((&BY_DATA_KEY, sealed)), Some((project, user)), Some(key)) => {
            DataKey::unwrap(keys, project, user, key)?.open(&place, sealed)?
        }
        _ => return Err(Error::internal("an origin that nothing opens")),
    };
    serde_json::from_slice(&plain).map_err(Error::internal)
}

/// The hash that the chain covers; as for [`super::personal`], nonce and key are its salt.
pub(super) fn commitment(blob: &[u8]) -> Vec<u8> {
    sha256(&[b"tessera/audit/origin/v1", blob].concat())
}

fn place(owner: Option<Owner>, request_id: &str) -> Place<'_> {
    let project = owner.map_or(ProjectId::INSTANCE, |(project, _)| project);
    Place { table: "audit_log", project, row: request_id, column: "origin" }
}

/// Empties what is kept of where a person's acts came from, in whatever chains, `most` entries at a time.
pub(super) async fn erase(conn: &Conn, (project, user): Owner, most: i64) -> Result<u64> {
    execute!(
        conn,
        "UPDATE audit_log SET origin = NULL, origin_project = NULL, origin_user = NULL
         WHERE (project_id, seq) IN (
           SELECT project_id, seq FROM audit_log WHERE origin_project = $1 AND origin_user = $2 LIMIT $3)",
        project,
        user,
        most
    )
}
