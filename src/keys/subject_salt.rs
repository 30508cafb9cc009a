//! What the pairwise subjects of a project are made with (OpenID Connect Core, 8.1).
//!
//! A salt of each project's own, made once and sealed under the master key, rather than a key derived from the master key:
//! that one may be exchanged and the old one thrown away, and everybody would be somebody else to every application.

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use super::master::{MasterKeys, Place};
use super::provide::Change;
use crate::error::Result;
use crate::ids::{ProjectId, UserId};
use crate::secret::encode_base64url;
use crate::store::subject_salts;

/// Where the salt is sealed: a project has one.
pub fn place(project: ProjectId) -> Place<'static> {
    Place { table: "subject_salts", project, row: "", column: "sealed_salt" }
}

/// The salt, ready to use.
pub struct SubjectSalt(hmac::Key);

impl SubjectSalt {
    pub fn open(keys: &MasterKeys, project: ProjectId, sealed: &[u8]) -> Result<Self> {
        let salt = keys.open(&place(project), sealed)?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &salt)))
    }

    /// The same for a person and a sector, and nothing to be learnt from it about either.
    pub fn subject(&self, sector: &str, user: UserId) -> String {
        let message = [sector.as_bytes(), &[0], &user.0.as_bytes()[..]].concat();
        encode_base64url(hmac::sign(&self.0, &message).as_ref())
    }
}

/// Sees to it that the project has one; called before the unit that stores a client which needs it.
pub async fn ensure(change: &Change<'_>) -> Result<()> {
    let (app, project) = (change.app, change.project);
    if app.db.read(|conn| async move { subject_salts::find(&conn, project).await }).await?.is_some() {
        return Ok(());
    }
    let salt = Zeroizing::new(app.entropy.bytes::<32>()?);
    let sealed = &app.master_keys.seal(&app.entropy, &place(project), &salt[..])?;
    let id = app.entropy.id(change.now)?;
    app.db
        .unit(|conn| async move {
            change.begin(&conn).await?;
            // No row: somebody else was faster, and that one serves as well.
            subject_salts::insert(&conn, project, change.now, id, sealed).await.map(drop)
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_differ_by_sector_and_person() {
        let salt = |bytes: &[u8]| SubjectSalt(hmac::Key::new(hmac::HMAC_SHA256, bytes));
        let (one, two) = (UserId(uuid::Uuid::from_u128(1)), UserId(uuid::Uuid::from_u128(2)));
        let here = salt(b"a").subject("app.example", one);
        assert_eq!(here, salt(b"a").subject("app.example", one));
        assert_eq!(here.len(), 43);
        for other in [
            salt(b"a").subject("app.example", two),
            salt(b"a").subject("app.test", one),
            salt(b"b").subject("app.example", one),
        ] {
            assert_ne!(here, other);
        }
    }
}
