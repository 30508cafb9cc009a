//! What an application asked to see beyond its scopes, claim by claim (OpenID Connect Core, 5.5), as a grant carries it.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Names of claims that there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimsRequest {
    pub userinfo: Vec<String>,
    pub id_token: Vec<String>,
}

impl ClaimsRequest {
    pub fn is_empty(&self) -> bool {
        self.userinfo.is_empty() && self.id_token.is_empty()
    }

    /// As the store holds it; nothing for nothing.
    pub fn to_column(&self) -> Result<Option<String>> {
        match self.is_empty() {
            true => Ok(None),
            false => serde_json::to_string(self).map(Some).map_err(Error::internal),
        }
    }

    pub fn of_column(text: Option<&str>) -> Result<Self> {
        text.map_or_else(|| Ok(Self::default()), |text| serde_json::from_str(text).map_err(Error::internal))
    }
}
