//! The pages of the account: where they are, what they are called, and what they ask for.

use crate::app::Ctx;
pub use crate::http::hosted::form::AccountPage as Place;
use crate::texts::{Text, Texts};

impl Place {
    /// Those that every page leads to.
    pub const TABS: [Self; 8] = [
        Self::Overview,
        Self::Profile,
        Self::Email,
        Self::Password,
        Self::Factors,
        Self::Sessions,
        Self::Consents,
        Self::Data,
    ];

    pub fn link(self, ctx: &Ctx) -> String {
        format!("/projects/{}{}", ctx.project.slug, self.path())
    }

    /// Whether what is done there could cost somebody the account, and so asks for a fresh sign-in.
    pub const fn is_sensitive(self) -> bool {
        matches!(self, Self::Email | Self::Password | Self::Factors | Self::Data | Self::Delete)
    }

    pub fn title(self, t: &Texts) -> &Text {
        match self {
            Self::Overview => &t.account.overview,
            Self::Profile => &t.account_profile.title,
            Self::Email => &t.account_email.title,
            Self::Password => &t.account_password.title,
            Self::Factors => &t.account_factors.title,
            Self::Sessions => &t.account_sessions.title,
            Self::Consents => &t.account_consents.title,
            Self::Data => &t.account_data.title,
            Self::Delete => &t.account_delete.title,
        }
    }
}
