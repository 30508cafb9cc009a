//! A client as it is remembered.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::keys::client_keys::ClientKeys;
use crate::model::client::Client;
use crate::store::client_secrets::StoredSecret;

/// A client with its live secrets and the keys that it registered.
pub struct ClientEntry {
    pub client: Client,
    pub secrets: Vec<StoredSecret>,
    pub keys: Arc<ClientKeys>,
}

impl ClientEntry {
    pub(super) fn new(client: Client, secrets: Vec<StoredSecret>) -> Result<Self> {
        let keys =
            client.settings.jwks.as_ref().map(ClientKeys::parse).transpose().map_err(Error::internal)?;
        Ok(Self { client, secrets, keys: Arc::new(keys.unwrap_or_default()) })
    }
}
