//! `brand/{file}`: the stylesheet and the logo of a project, each under a name that its content has.

use axum::response::{IntoResponse, Response};

use super::assets::{CSS, forever};
use super::theme;
use crate::error::{Error, Result, not_found};
use crate::http::call::Call;
use crate::model::logo::LogoKind;
use crate::projects::logos;

pub async fn serve(call: Call) -> Response {
    find(&call).await.unwrap_or_else(IntoResponse::into_response)
}

async fn find(call: &Call) -> Result<Response> {
    let ctx = call.visit_by_slug()?.current().await?;
    let file: String = call.path("file")?;
    let brand = &ctx.project.settings.brand;
    if !ctx.project.is_active() {
        return Err(nothing());
    }
    if !brand.is_plain() && file == theme::name(brand) {
        return Ok(forever(CSS, theme::stylesheet(brand)));
    }
    let kind = LogoKind::ALL.into_iter().find(|kind| file.ends_with(kind.extension())).ok_or_else(nothing)?;
    let picture = logos::find(&ctx, &file).await?.ok_or_else(nothing)?;
    Ok(forever(kind.content_type(), picture))
}

fn nothing() -> Error {
    not_found("there is no such file")
}
