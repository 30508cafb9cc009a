//! Identifiers as types, so that a user's id is never taken for a client's.
//!
//! All are UUID version 7 (RFC 9562, 5.7): sortable by creation, native in both engines.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
        #[serde(transparent)]
        #[sqlx(transparent)]
        pub struct $name(pub Uuid);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    )*};
}

ids! {
    /// A tenant. The nil id stands for the instance itself in the audit log.
    ProjectId,
    /// An application registered in a project; its text form is the `client_id`.
    ClientId,
    /// A person's record in one project.
    UserId,
    /// A token family: the `sid` claim.
    FamilyId,
    /// A browser signed in at the hosted pages.
    BrowserSessionId,
    /// A stored proof: a password.
    CredentialId,
    /// The public key of an authenticator.
    PasskeyId,
    /// A second factor: an authenticator app, a passkey.
    FactorId,
    /// A browser that is not asked again for a second factor.
    RememberedDeviceId,
    /// A bearer secret for the admin API.
    AdminKeyId,
    /// A role of a person of the built-in project.
    AdminGrantId,
    /// What lets an application register itself.
    InitialAccessTokenId,
    /// An address that a project is told at of what happens to its users.
    WebhookId,
    /// An API that takes tokens of a project.
    ResourceServerId,
    /// One requested deletion of a user.
    DeletionId,
    /// What waits to be confirmed before it ends.
    ConfirmationId,
    /// The deletion of many users at once.
    BulkId,
    /// A device that waits for somebody to sign in elsewhere.
    DeviceGrantId,
    /// A message waiting in the outbox.
    OutboxId,
    /// A link that was mailed to somebody.
    MailLinkId,
}

impl ProjectId {
    /// The instance itself: the chain of events that belong to no project.
    pub const INSTANCE: Self = Self(Uuid::nil());
}
