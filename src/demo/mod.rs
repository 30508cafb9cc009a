//! The demo of `tessera dev`: what was made, the lines that drive it, and the page that stands in for an application.

pub mod callback;
pub mod lines;
pub mod moving;
pub mod tour;

use serde::{Deserialize, Serialize};

use crate::ids::ClientId;

/// `dev.json`: what was made, for scripts. It holds secrets, so it is neither printed nor shown by `Debug`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Demo {
    pub issuer: String,
    pub base_url: String,
    /// The slug.
    pub project: String,
    pub clients: Vec<DemoClient>,
    pub user: DemoUser,
    pub admin_key: String,
    pub database_url: String,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct DemoClient {
    pub client_id: ClientId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
    pub redirect_uri: String,
    /// `confidential` or `public`.
    pub r#type: String,
}

#[derive(Clone, Serialize, Deserialize)]
pub struct DemoUser {
    pub username: String,
    pub password: String,
}

impl Demo {
    pub fn client(&self, id: ClientId) -> Option<&DemoClient> {
        self.clients.iter().find(|client| client.client_id == id)
    }
}
