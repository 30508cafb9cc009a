//! `userinfofromaccesstoken`: the user's claims as they are now, limited by scope (OpenID Connect Core, 5.3).

use serde_json::{Map, Value, json};

use super::verify::{Live, require_live};
use crate::app::Visit;
use crate::error::{Error, Result};
use crate::model::profile::Profile;

/// # Errors
/// `invalid_token` naming the reason.
pub async fn user_info(visit: &Visit, token: &str) -> Result<Map<String, Value>> {
    let (_, Live { claims, family }) = require_live(visit, token).await?;
    let has = |scope: &str| claims.scope.split(' ').any(|granted| granted == scope);
    let mut answer = Map::new();
    answer.insert("sub".into(), json!(claims.sub));
    if has("profile") {
        answer.insert("preferred_username".into(), json!(family.username));
        answer.insert("updated_at".into(), json!(family.user_updated_at.unix()));
        answer.insert("roles".into(), parsed(&family.roles)?);
        answer.insert("groups".into(), parsed(&family.groups)?);
        answer.insert("attributes".into(), parsed(&family.attributes)?);
    }
    let profile = Profile::parse(&family.profile)?;
    for scope in ["profile", "phone", "address"].into_iter().filter(|scope| has(scope)) {
        answer.extend(profile.of_scope(scope).map(|(name, value)| (name.to_owned(), value.clone())));
    }
    if has("email") && family.email.is_some() {
        answer.insert("email".into(), json!(family.email));
        answer.insert("email_verified".into(), json!(family.email_verified));
    }
    Ok(answer)
}

fn parsed(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(Error::internal)
}
