//! Where an application is: how it learns that somebody was signed out, where people go then, and which pages are its own.

use super::client::ClientSettings;
use super::origin::is_origin;
use super::uris::{check_return_uri, check_web_uri};
use crate::error::{Error, Result};

const MOST_URIS: usize = 20;

impl ClientSettings {
    pub(super) fn check_places(&self) -> Result<()> {
        if self.post_logout_redirect_uris.len() > MOST_URIS {
            let bound = format!("post_logout_redirect_uris has at most {MOST_URIS} entries");
            return Err(Error::invalid_field("post_logout_redirect_uris", bound));
        }
        let field = "post_logout_redirect_uris";
        self.post_logout_redirect_uris.iter().try_for_each(|uri| check_return_uri(field, uri))?;
        self.backchannel_logout_uri
            .iter()
            .try_for_each(|uri| check_web_uri("backchannel_logout_uri", uri))?;
        if self.allowed_origins.len() > MOST_URIS || !self.allowed_origins.iter().all(|one| is_origin(one)) {
            let bound = format!(
                "allowed_origins has at most {MOST_URIS} web origins as browsers write them: https://host[:port], or http on a loopback address"
            );
            return Err(Error::invalid_field("allowed_origins", bound));
        }
        Ok(())
    }
}
