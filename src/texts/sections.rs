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
    account: Account {
        busy, email, email_unverified, email_verified, lead, more, navigation, overtaken, overview, sign_out,
        username,
    }

    account_consents: AccountConsents { lead, none, since, title, withdraw, withdraw_named, withdrawn }

    account_data: AccountData { delete, download_title, lead, signed, submit, title }

    account_delete: AccountDelete {
        back, confirmation, done, done_title, ends, lead, lead_window, open, scheduled, submit, title, wrong,
    }

    account_email: AccountEmail {
        asked, change_title, lead, new, not_now, submit, title, verify, verify_asked, wrong,
    }

    account_factors: AccountFactors {
        add_app, added, app_code, app_key, app_label, app_lead, app_name, app_open, app_picture, back, bad_name,
        codes_kept, codes_lead, codes_left, codes_new, codes_title, device_until, devices_title, forget,
        forget_named, forgotten, kind_email_code, kind_passkey, kind_totp, lead, none, not_now, remove, remove_named,
        removed, rename_title, renamed, title, unused, used, wrong,
    }

    account_password: AccountPassword { changed, current, lead, same, submit, title, wrong }

    account_profile: AccountProfile {
        birthdate, birthdate_hint, family_name, given_name, invalid_attribute, invalid_birthdate, invalid_link,
        invalid_locale, invalid_number, invalid_phone, invalid_text, invalid_zone, lead, list_hint, locale,
        locale_hint, name, nickname, no, phone_hint, phone_number, saved, submit, title, unset, website, yes,
        zoneinfo, zoneinfo_hint,
    }

    account_sessions: AccountSessions {
        application, browser, device, device_unknown, end, end_named, ended, everywhere, hint, lead, more,
        of_this, others, others_ended, this, times, title,
    }

    /// What several pages say.
    common: Common {
        address, allow, continue_, deny, error, other_account, privacy, secured, sign_in_again, terms,
        too_often,
    }

    confirm_address: ConfirmAddress { done_title, lead, moved, moves, submit, title, verified }

    consent: Consent {
        about, able, back, claim, lead, privacy, scope_account, scope_address, scope_email, scope_offline_access,
        scope_openid, scope_phone, scope_profile, servers, terms, title,
    }

    device: Device {
        able, admin, allowed, allowed_title, caution, compare, confirm_lead, confirm_title, denied, denied_title, deny, label,
        lead, over, over_title, servers, title, too_many, unknown,
    }

    /// What went wrong, on the page for it.
    errors: Errors {
        address_unregistered, busy, busy_title, client_twice, client_unknown, clients_differ, failed_title,
        form_incomplete, form_stale, help, logout_repeats, logout_stale, nothing, nothing_title, not_a_form, ours,
        ours_title, redirect_missing, redirect_twice, request_gone, request_long, request_not_text, request_twice,
        stale, stale_title, too_large, wrong_method,
    }

    forgotten: Forgotten { back, label, lead, missing, sent, sent_title, submit, title }

    form_post: FormPost { lead, title }

    join: Join { done, done_title, lead, no_name, not_yours, submit, taken, title }

    logout: Logout { asks, effect, stay, submit, title }

    mail_account_deleted: MailAccountDeleted { subject, text }

    mail_address_change_asked: MailAddressChangeAsked { subject, text }

    mail_address_changed: MailAddressChanged { subject, text }

    mail_change_address: MailChangeAddress { subject, text }

    mail_codes_refused: MailCodesRefused { subject, text }

    mail_deletion_cancelled: MailDeletionCancelled { subject, text }

    mail_deletion_scheduled: MailDeletionScheduled { subject, text }

    mail_deletion_scheduled_unverified: MailDeletionScheduledUnverified { subject, text }

    mail_email_code: MailEmailCode { subject, text }

    mail_factor_added: MailFactorAdded { subject, text }

    mail_factor_removed: MailFactorRemoved { subject, text }

    mail_factors: MailFactors { email_code, passkey, recovery_codes, totp }

    mail_invitation: MailInvitation { subject, text }

    mail_link: MailLink { again, ask_again, gone, gone_title }

    mail_new_password: MailNewPassword { subject, text }

    mail_password_changed: MailPasswordChanged { subject, text }

    mail_recovery_code_used: MailRecoveryCodeUsed { subject, text }

    mail_sign_ins_refused: MailSignInsRefused { subject, text }

    mail_sign_up: MailSignUp { subject, text }

    mail_sign_up_known: MailSignUpKnown { subject, text }

    mail_verify_address: MailVerifyAddress { subject, text }

    new_password: NewPassword { done, done_title, lead, submit, title }

    objection: Objection { done, done_title, lead, mistake, submit, title }

    passkey: Passkey {
        about, add, add_lead, added, failed, known, label, lead, make, needs, not_made, one, refused, rename,
        rename_named, rename_title, renamed, save, sign_in, unsupported, unusable,
    }

    passwords: Passwords { again, blocklist, bounds, differ, history, label, min_length, min_strength }

    second_factor: SecondFactor {
        app_about, app_name, by_hand, code, codes_kept, codes_lead, codes_title, enrol_app, enrol_lead, enrol_other,
        enrol_passkey, enrol_title, first_code, key, lead_done, lead_email_code, lead_mailed, lead_recovery_code,
        lead_totp, open_app, over, over_title, picture, recovery_code, remember, send, send_again, title, too_many,
        use_email_code, use_passkey, use_recovery_code, use_totp, wrong,
    }

    select_account: SelectAccount { lead, other, this, title }

    sign_in: SignIn { again, busy, forgotten, lead, password, sign_up, submit, title, username, wrong }

    sign_up: SignUp { back, closed, label, lead, no_address, sent, sent_title, title, too_many }

    signed_in: SignedIn { back, forth, open, page_title, title }

    signed_out: SignedOut { back, lead, page_title, title }
}
