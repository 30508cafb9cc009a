//! A password that somebody is to have: judged by the project's rules, whoever sets it, and hashed.

use serde_json::json;
use unicode_normalization::UnicodeNormalization;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::app::Ctx;
use crate::error::{Error, Result};
use crate::ids::{CredentialId, UserId};
use crate::model::names::{check_password, folded};
use crate::model::sign_in_policy::PasswordPolicy;
use crate::secret::Secret;
use crate::store::db::Conn;
use crate::store::{password_history, passwords};

/// Whose password it will be. What others know of them makes no password.
#[derive(Clone, Copy)]
pub struct Owner<'a> {
    /// `None`: a user who is being made, and has no former passwords.
    pub id: Option<UserId>,
    pub username: &'a str,
    pub email: Option<&'a str>,
}

/// Which rule a password breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The bounds of every password, in bytes.
    Bounds,
    /// So many characters are needed.
    MinLength(i64),
    Blocklist,
    /// The score of zxcvbn, and the least that is accepted.
    MinStrength(i64, i64),
    History,
}

impl Fault {
    /// The name of the rule, as the settings have it.
    pub const fn rule(self) -> &'static str {
        match self {
            Self::Bounds => "bounds",
            Self::MinLength(_) => "min_length",
            Self::Blocklist => "blocklist",
            Self::MinStrength(..) => "min_strength",
            Self::History => "history",
        }
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let description = match fault {
            Fault::Bounds => "password has 8 to 1024 bytes".to_owned(),
            Fault::MinLength(least) => format!("password has at least {least} characters"),
            Fault::Blocklist => "password contains a word that this project does not allow".to_owned(),
            Fault::MinStrength(score, least) => format!(
                "password is too easy to guess: its strength is {score}, and this project asks for {least} of 4"
            ),
            Fault::History => "password was used before".to_owned(),
        };
        let error = Self::invalid_field("password", description);
        match fault {
            Fault::Bounds => error,
            _ => error.with_details(json!({"rule": fault.rule()})),
        }
    }
}

/// A password that may be set.
pub struct NewPassword {
    credential: CredentialId,
    phc: String,
    /// The id under which the present one is kept, where the project keeps any.
    former: Uuid,
}

/// Judges the password and hashes it, both in the queue of the hasher.
///
/// # Errors
/// 503 when the queue is full.
pub async fn prepare(
    ctx: &Ctx,
    owner: Owner<'_>,
    password: Secret,
) -> Result<std::result::Result<NewPassword, Fault>> {
    if let Some(fault) = judge(ctx, owner, &password).await? {
        return Ok(Err(fault));
    }
    let (credential, former) = (ctx.app.entropy.id(ctx.now)?, ctx.app.entropy.id(ctx.now)?);
    let phc = ctx.app.hasher.hash(&ctx.app.entropy, password).await?;
    Ok(Ok(NewPassword { credential, phc, former }))
}

impl NewPassword {
    /// In the unit that holds the user's row.
    pub async fn store(&self, conn: &Conn, ctx: &Ctx, user: UserId) -> Result<()> {
        self.put(conn, ctx, user, false).await
    }

    /// The same of a password that whoever reads the user's mail has chosen.
    pub async fn store_by_mail(&self, conn: &Conn, ctx: &Ctx, user: UserId) -> Result<()> {
        self.put(conn, ctx, user, true).await
    }

    async fn put(&self, conn: &Conn, ctx: &Ctx, user: UserId, by_mail: bool) -> Result<()> {
        let (project, now) = (ctx.project.id, ctx.now);
        // The present one counts as well.
        let kept = ctx.project.settings.sign_in.password.history.saturating_sub(1).max(0);
        if kept > 0 {
            password_history::keep(conn, project, now, self.former, user).await?;
        }
        password_history::trim(conn, project, user, kept).await?;
        passwords::set(conn, project, now, self.credential, user, (&self.phc, by_mail)).await.map(drop)
    }
}

async fn judge(ctx: &Ctx, owner: Owner<'_>, password: &Secret) -> Result<Option<Fault>> {
    if check_password(password.expose()).is_err() {
        return Ok(Some(Fault::Bounds));
    }
    let policy = ctx.project.settings.sign_in.password.clone();
    let (text, inputs) = (password.clone(), known_words(ctx, owner));
    let broken = ctx.app.hasher.run(move || broken_rule(&policy, text.expose(), &inputs)).await?;
    match broken {
        Some(fault) => Ok(Some(fault)),
        None => Ok(was_used(ctx, owner, password).await?.then_some(Fault::History)),
    }
}

/// What whoever guesses tries first: the names of the person and of the place.
fn known_words(ctx: &Ctx, owner: Owner<'_>) -> Vec<String> {
    let local = owner.email.and_then(|email| email.rsplit_once('@')).map(|(local, _)| local);
    let own = [Some(owner.username), owner.email, local].into_iter().flatten();
    own.chain([ctx.project.slug.as_str(), ctx.project.name.as_str()]).map(str::to_owned).collect()
}

fn broken_rule(policy: &PasswordPolicy, password: &str, inputs: &[String]) -> Option<Fault> {
    // As it is hashed.
    let password: Zeroizing<String> = Zeroizing::new(password.nfc().collect());
    let length = i64::try_from(password.chars().count()).unwrap_or(i64::MAX);
    if length < policy.min_length {
        return Some(Fault::MinLength(policy.min_length));
    }
    let plain = Zeroizing::new(folded(&password));
    if policy.blocklist.iter().any(|word| plain.contains(&folded(word))) {
        return Some(Fault::Blocklist);
    }
    if policy.min_strength == 0 {
        return None;
    }
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let score = i64::from(u8::from(zxcvbn::zxcvbn(&password, &inputs).score()));
    (score < policy.min_strength).then_some(Fault::MinStrength(score, policy.min_strength))
}

async fn was_used(ctx: &Ctx, owner: Owner<'_>, password: &Secret) -> Result<bool> {
    let most = ctx.project.settings.sign_in.password.history;
    let Some(user) = owner.id.filter(|_| most > 0) else { return Ok(false) };
    let list = |conn| async move { password_history::list(&conn, ctx.project.id, user, most).await };
    for former in ctx.app.db.read(list).await? {
        if ctx.app.hasher.verify(Some(&former), password.clone()).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(policy: &PasswordPolicy, password: &str) -> Option<Fault> {
        let inputs = ["gisela", "gisela.kroll@example.com", "gisela.kroll", "acme"].map(str::to_owned);
        broken_rule(policy, password, &inputs)
    }

    #[test]
    fn the_default_refuses_what_is_guessed_first() {
        let policy = PasswordPolicy::default();
        for weak in
            ["password", "Password1", "12345678", "qwertyuiop", "gisela.kroll", "Gisela1980", "aaaaaaaaaa"]
        {
            assert!(matches!(broken(&policy, weak), Some(Fault::MinStrength(_, 2))), "{weak}");
        }
        for good in ["correct horse battery", "xK9#mQ2vLp", "violet-stapler-34"] {
            assert_eq!(broken(&policy, good), None, "{good}");
        }
        assert_eq!(broken(&policy, "ééééé"), Some(Fault::MinLength(8)));
    }

    #[test]
    fn rules_are_judged_one_by_one() {
        let policy = PasswordPolicy {
            min_length: 12,
            min_strength: 0,
            blocklist: vec!["Straße".into(), "acme".into()],
            history: 0,
        };
        assert_eq!(broken(&policy, "elevenchars"), Some(Fault::MinLength(12)));
        assert_eq!(broken(&policy, "in der STRASSE 7"), Some(Fault::Blocklist));
        assert_eq!(broken(&policy, "aaaaaaaaaaaa"), None);
        // Twelve characters, however they are composed.
        assert_eq!(broken(&policy, &"e\u{301}".repeat(11)), Some(Fault::MinLength(12)));
        assert_eq!(broken(&policy, &"e\u{301}".repeat(12)), None);
    }
}
