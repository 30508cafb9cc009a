//! What the pages load: one stylesheet, one icon, one line of script. Each is named after its content, so that it may be kept for a year.

use std::fmt::Write;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::error::not_found;
use crate::secret::sha256;

pub struct Asset {
    name: String,
    content_type: &'static str,
    content: String,
}

pub const CSS: &str = "text/css; charset=utf-8";

/// The colours in light and in dark, and what is done with them.
pub const LIGHT: &str = include_str!("style/light.css");
pub const DARK: &str = include_str!("style/dark.css");
pub const RULES: &str = include_str!("style/rules.css");

pub static STYLESHEET: LazyLock<Asset> = LazyLock::new(|| {
    let scheme = ":root {\n  color-scheme: light dark;\n";
    let dark = format!("@media (prefers-color-scheme: dark) {{\n:root {{\n{DARK}}}\n}}");
    Asset::new("style", "css", CSS, format!("{scheme}{LIGHT}}}\n\n{dark}\n\n{RULES}"))
});
/// For the one page that sends itself on.
pub static FORM_POST: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("form_post", "js", "text/javascript; charset=utf-8", include_str!("form_post.js").into())
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
        let headers = [
            (header::CONTENT_TYPE, self.content_type),
            (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            // An image that is opened as a document runs nothing either.
            (header::CONTENT_SECURITY_POLICY, "default-src 'none'"),
        ];
        (headers, self.content.clone()).into_response()
    }
}

/// An asset, under the one name that its content has.
pub async fn serve(Path(name): Path<String>) -> Response {
    match [&*STYLESHEET, &*ICON, &*FORM_POST].into_iter().find(|asset| asset.name == name) {
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

    /// WCAG 2.2, 1.4.3 and 1.4.11: text at 4.5 to 1, the edges of fields at 3 to 1, in light and in dark.
    #[test]
    fn colours_can_be_told_apart() {
        for scheme in [LIGHT, DARK] {
            for (front, back, least) in [
                ("text", "card", 4.5),
                ("text", "page", 4.5),
                ("text", "field", 4.5),
                ("text", "quiet", 4.5),
                ("muted", "card", 4.5),
                ("muted", "page", 4.5),
                ("muted", "quiet", 4.5),
                ("link", "card", 4.5),
                ("link", "page", 4.5),
                ("link", "quiet", 4.5),
                ("link-hover", "card", 4.5),
                ("link-hover", "page", 4.5),
                ("on-accent", "accent", 4.5),
                ("on-accent", "accent-hover", 4.5),
                ("alert-text", "alert-back", 4.5),
                ("alert-text", "card", 4.5),
                ("good-text", "good-back", 4.5),
                ("field-edge", "card", 3.0),
                ("field-edge", "field", 3.0),
                ("alert-edge", "card", 3.0),
                ("good-edge", "card", 3.0),
                ("accent", "card", 3.0),
            ] {
                let (a, b) = (luminance(scheme, front), luminance(scheme, back));
                let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
                assert!(contrast >= least, "{front} on {back}: {contrast:.2}");
            }
        }
    }

    /// The relative luminance of a colour that is written `--name: #rrggbb`.
    fn luminance(scheme: &str, name: &str) -> f64 {
        let hex = scheme.split_once(&format!("--{name}: #")).unwrap().1;
        let channel = |place: usize| {
            let value = f64::from(u8::from_str_radix(&hex[place..place + 2], 16).unwrap()) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * channel(0) + 0.7152 * channel(2) + 0.0722 * channel(4)
    }
}
