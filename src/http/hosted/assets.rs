//! What the pages load: one stylesheet, one icon, a little script. Each is named after its content, so that it may be kept for a year.

use std::fmt::Write;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::theme;
use crate::error::not_found;
use crate::model::brand::Brand;
use crate::secret::sha256;

pub struct Asset {
    name: String,
    content_type: &'static str,
    content: String,
}

pub const CSS: &str = "text/css; charset=utf-8";

pub static STYLESHEET: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("style", "css", CSS, theme::stylesheet(&Brand::default())));
/// For the one page that sends itself on.
pub static FORM_POST: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("form_post", "js", "text/javascript; charset=utf-8", include_str!("form_post.js").into())
});
/// For pages that ask for a passkey.
pub static PASSKEYS: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("passkeys", "js", "text/javascript; charset=utf-8", include_str!("passkeys.js").into())
});
pub static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_str!("icon.svg").into()));

impl Asset {
    fn new(stem: &str, extension: &str, content_type: &'static str, content: String) -> Self {
        let name = format!("{stem}-{}.{extension}", content_hash(content.as_bytes()));
        Self { name, content_type, content }
    }

    /// Where it is served.
    pub fn path(&self) -> String {
        format!("/assets/{}", self.name)
    }
}

/// What names a file after its content.
pub fn content_hash(content: &[u8]) -> String {
    let mut hash = String::new();
    for byte in sha256(content).iter().take(6) {
        // Writing to a String cannot fail.
        let _ = write!(hash, "{byte:02x}");
    }
    hash
}

impl IntoResponse for &Asset {
    fn into_response(self) -> Response {
        forever(self.content_type, self.content.clone())
    }
}

/// What stands at an address that is named after its content.
pub fn forever(content_type: &'static str, content: impl IntoResponse) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // A picture that is opened as a document runs nothing either.
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
    ];
    (headers, content).into_response()
}

/// An asset, under the one name that its content has.
pub async fn serve(Path(name): Path<String>) -> Response {
    match [&*STYLESHEET, &*ICON, &*FORM_POST, &*PASSKEYS].into_iter().find(|asset| asset.name == name) {
        Some(asset) => asset.into_response(),
        None => not_found("there is no such file").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asset_is_named_after_its_content() {
        let response = STYLESHEET.into_response();
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/css; charset=utf-8");
        assert!(response.headers()[header::CACHE_CONTROL].to_str().unwrap().ends_with("immutable"));
        assert_eq!(STYLESHEET.name.len(), "style-".len() + 12 + ".css".len());
        assert_ne!(STYLESHEET.name, Asset::new("style", "css", CSS, "body{}".into()).name);
    }

    #[test]
    fn the_stylesheet_loads_nothing() {
        assert!(!STYLESHEET.content.contains("url(") && !STYLESHEET.content.contains("@import"));
        assert!(STYLESHEET.content.len() + ICON.content.len() < 20_000);
    }
}
