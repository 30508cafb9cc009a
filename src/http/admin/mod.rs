//! The admin API on the wire. Every route stands in [`super::permissions`] too, which decides who may call it.

mod attribute_definitions;
mod labels;
pub mod paging;
mod people;
mod sessions;
mod users;

use std::sync::Arc;

use axum::Router;

use crate::app::App;

/// Routes under `/admin`, a file each for what they are about.
pub fn router() -> Router<Arc<App>> {
    Router::new().merge(people::routes())
}
