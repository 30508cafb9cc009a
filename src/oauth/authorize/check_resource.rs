//! Which APIs the tokens will be for (RFC 8707, 2.1).

use crate::app::Ctx;
use crate::error::Result;
use crate::model::client::Client;
use crate::oauth::parameters::Parameters;
use crate::oauth::resources::{RESOURCE, check_resources};

pub fn check_resource(ctx: &Ctx, client: &Client, parameters: &Parameters) -> Result<Vec<String>> {
    check_resources(&ctx.entry, client, &parameters.all(RESOURCE))
}
