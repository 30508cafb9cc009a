//! `/api/account/password`: another password for the one that is proved.

use axum::response::Response;
use serde::Deserialize;

use super::fresh_holder;
use crate::error::Result;
use crate::http::answer::ok;
use crate::http::call::Call;
use crate::identity::account::password;
use crate::secret::Secret;
use crate::session::holder::Holder;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PasswordChange {
    /// Left out by whoever has none yet.
    current_password: Option<Secret>,
    new_password: Secret,
}

pub async fn change(call: Call) -> Result<Response> {
    let (ctx, live) = fresh_holder(&call).await?;
    let body: PasswordChange = call.json()?;
    let (current, new) = (body.current_password, body.new_password);
    let holder = Holder::Application(&live);
    let ended = password::change(&ctx, &holder, current, new, &call.origin()).await??;
    Ok(ok(&ended))
}
