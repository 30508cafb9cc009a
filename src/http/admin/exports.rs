//! `/admin/projects/{project}/users/{user}/export`: everything that is held on somebody.

use axum::response::Response;

use crate::error::Result;
use crate::http::answer::{JWT, accepts, by_accept, ok, signed};
use crate::http::call::Call;
use crate::identity::held;
use crate::projects::exports;

pub async fn export(call: Call) -> Result<Response> {
    let ctx = call.ctx().await?;
    let actor = call.actor(&call.project_admin(&ctx).await?);
    let data = exports::export(&ctx, &actor, call.path("user")?).await?;
    Ok(by_accept(match accepts(&call.headers, JWT) {
        true => signed(JWT, held::signed(&ctx, &data)?),
        false => ok(&data),
    }))
}
