//! Which texts there are: the sections and names of every file, in the order of the alphabet.

use serde::Deserialize;

use super::{Language, Text};

macro_rules! sections {
    ($($(#[$doc:meta])* $section:ident: $type:ident { $($text:ident),* $(,)? })*) => {
        /// Everything that pages and mails say in one language.
        #[derive(Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Texts {
            pub language: Language,
            $($(#[$doc])* pub $section: $type,)*
        }
        $(
            $(#[$doc])*
            #[derive(Debug, Default, Deserialize)]
            #[serde(deny_unknown_fields)]
            pub struct $type {
                $(pub $text: Text,)*
            }
        )*
    };
}

sections! {
    /// What several pages say.
    common: Common {
        address, allow, continue_, deny, error, other_account, privacy, secured, sign_in_again, terms,
    }

    consent: Consent {
        about, able, back, claim, lead, privacy, scope_account, scope_address, scope_email, scope_offline_access,
        scope_openid, scope_phone, scope_profile, servers, terms, title,
    }

    device: Device {
        able, allowed, allowed_title, caution, compare, confirm_lead, confirm_title, denied, denied_title, deny, label,
        lead, over, over_title, servers, title, too_many, unknown,
    }

    /// What went wrong, on the page for it.
    errors: Errors {
        address_unregistered, busy, busy_title, client_twice, client_unknown, clients_differ, failed_title,
        form_incomplete, form_stale, help, logout_repeats, logout_stale, nothing, nothing_title, not_a_form, ours,
        ours_title, redirect_missing, redirect_twice, request_gone, request_long, request_not_text, request_twice,
        stale, stale_title, too_large, wrong_method,
    }

    form_post: FormPost { lead, title }

    logout: Logout { asks, effect, stay, submit, title }

    select_account: SelectAccount { lead, other, this, title }

    sign_in: SignIn { busy, lead, password, submit, title, username, wrong }

    signed_in: SignedIn { back, forth, open, page_title, title }

    signed_out: SignedOut { back, lead, page_title, title }
}
