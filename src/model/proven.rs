//! What was proven in a sign-in, and what that is worth: `amr` and `acr` of every token come from here.

use serde::{Deserialize, Serialize};

/// How sure a sign-in is, in the words of `acr`, from the weakest to the strongest. A stronger one is good for a weaker one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Acr {
    /// One factor.
    One,
    /// Two factors.
    Two,
    /// Nothing that a false page could pass on: a passkey that has verified its person.
    PhishingResistant,
}

impl Acr {
    pub const ALL: [Self; 3] = [Self::One, Self::Two, Self::PhishingResistant];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::One => "1",
            Self::Two => "2",
            Self::PhishingResistant => "phr",
        }
    }

    /// `None` for a word that is none of ours.
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|acr| acr.as_str() == text)
    }
}

/// One proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    Password,
    /// A code that is good once: of an authenticator app, from a mail, or from the list for emergencies.
    OneTimeCode,
    Passkey(Passkey),
}

/// What a passkey has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passkey {
    /// It has verified its person (by a finger, a face, a PIN), and not just somebody's presence.
    pub verified: bool,
    /// Its key is kept in software and may be copied to other devices of the person.
    pub synced: bool,
}

/// All that was proven.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proven {
    password: bool,
    code: bool,
    passkey: Option<Passkey>,
}

impl Proven {
    /// As a browser session has it.
    pub fn parse(amr: &str, acr: &str) -> Self {
        let words: Vec<String> = serde_json::from_str(amr).unwrap_or_default();
        let has = |word: &str| words.iter().any(|known| known == word);
        let verified = acr == Acr::PhishingResistant.as_str();
        let passkey = (has("hwk") || has("swk")).then(|| Passkey { verified, synced: has("swk") });
        Self { password: has("pwd"), code: has("otp"), passkey }
    }

    #[must_use]
    pub fn and(mut self, proof: Proof) -> Self {
        match proof {
            Proof::Password => self.password = true,
            Proof::OneTimeCode => self.code = true,
            Proof::Passkey(shown) => {
                let verified = self.passkey.is_some_and(|before| before.verified);
                self.passkey = Some(Passkey { verified: shown.verified || verified, ..shown });
            }
        }
        self
    }

    pub fn acr(self) -> Acr {
        let kinds =
            [self.password, self.code, self.passkey.is_some()].into_iter().filter(|kind| *kind).count();
        match self.passkey {
            Some(Passkey { verified: true, .. }) => Acr::PhishingResistant,
            _ if kinds >= 2 => Acr::Two,
            _ => Acr::One,
        }
    }

    /// The methods of RFC 8176, 2, as a JSON list. A passkey has always tested that somebody is present (`user`).
    pub fn amr(self) -> String {
        let key = self.passkey.map(|passkey| if passkey.synced { "swk" } else { "hwk" });
        let words = [
            self.password.then_some("pwd"),
            self.code.then_some("otp"),
            key,
            key.map(|_| "user"),
            (self.acr() >= Acr::Two).then_some("mfa"),
        ];
        let words: Vec<String> = words.into_iter().flatten().map(|word| format!("\"{word}\"")).collect();
        format!("[{}]", words.join(","))
    }

    pub const fn has_password(self) -> bool {
        self.password
    }
}

/// Whether two factors were proven, by an `amr` that may stand beside a weaker `acr`, which was asked for.
pub fn has_two(amr: &str) -> bool {
    let words: Vec<String> = serde_json::from_str(amr).unwrap_or_default();
    words.iter().any(|word| word == "mfa")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Passkey = Passkey { verified: false, synced: false };

    #[test]
    fn what_is_said_is_what_was_proven() {
        let (password, code) = (Proof::Password, Proof::OneTimeCode);
        let (key, verified) = (Proof::Passkey(KEY), Proof::Passkey(Passkey { verified: true, synced: true }));
        for (proofs, amr, acr) in [
            (vec![password], r#"["pwd"]"#, Acr::One),
            (vec![password, code], r#"["pwd","otp","mfa"]"#, Acr::Two),
            (vec![code, code], r#"["otp"]"#, Acr::One),
            (vec![password, key], r#"["pwd","hwk","user","mfa"]"#, Acr::Two),
            (vec![key], r#"["hwk","user"]"#, Acr::One),
            (vec![verified], r#"["swk","user","mfa"]"#, Acr::PhishingResistant),
            (vec![password, verified], r#"["pwd","swk","user","mfa"]"#, Acr::PhishingResistant),
        ] {
            let proven = proofs.into_iter().fold(Proven::default(), Proven::and);
            assert_eq!((proven.amr().as_str(), proven.acr()), (amr, acr));
            assert_eq!(Proven::parse(amr, acr.as_str()), proven);
        }
    }

    #[test]
    fn the_stronger_is_good_for_the_weaker() {
        assert!(Acr::PhishingResistant > Acr::Two && Acr::Two > Acr::One);
        assert_eq!(Acr::ALL.map(|acr| Acr::named(acr.as_str())), Acr::ALL.map(Some));
        assert_eq!(Acr::named("3"), None);
    }
}
