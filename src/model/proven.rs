//! What was proven in a sign-in, and what that is worth: `amr` and `acr` of every token come from here.

use serde::{Deserialize, Serialize};

use super::sign_in_policy::FactorKind;

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
    /// A code that is good once.
    OneTimeCode(CodeOf),
    Passkey(Passkey),
}

/// Where a code comes from. `amr` has one word for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeOf {
    App,
    Mail,
    /// The list for emergencies, which stands in for whatever was lost.
    Recovery,
}

impl CodeOf {
    const ALL: [Self; 3] = [Self::App, Self::Mail, Self::Recovery];

    const fn as_str(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Mail => "mail",
            Self::Recovery => "recovery",
        }
    }

    const fn kind(self) -> Option<FactorKind> {
        match self {
            Self::App => Some(FactorKind::Totp),
            Self::Mail => Some(FactorKind::EmailCode),
            Self::Recovery => None,
        }
    }
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
    /// Which codes, in the order of [`CodeOf::ALL`]; none beside `code`: nobody knows any more.
    codes: [bool; 3],
    passkey: Option<Passkey>,
}

impl Proven {
    /// As a browser session has it.
    pub fn parse(amr: &str, acr: &str, codes: &str) -> Self {
        let words: Vec<String> = serde_json::from_str(amr).unwrap_or_default();
        let has = |word: &str| words.iter().any(|known| known == word);
        let verified = acr == Acr::PhishingResistant.as_str();
        let passkey = (has("hwk") || has("swk")).then(|| Passkey { verified, synced: has("swk") });
        let codes = CodeOf::ALL.map(|code| codes.split(' ').any(|word| word == code.as_str()));
        Self { password: has("pwd"), code: has("otp"), codes, passkey }
    }

    #[must_use]
    pub fn and(mut self, proof: Proof) -> Self {
        match proof {
            Proof::Password => self.password = true,
            Proof::OneTimeCode(of) => {
                self.code = true;
                for (shown, code) in self.codes.iter_mut().zip(CodeOf::ALL) {
                    *shown |= code == of;
                }
            }
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

    /// By which codes, for the next [`Self::parse`].
    pub fn codes(self) -> String {
        self.shown().map(CodeOf::as_str).collect::<Vec<_>>().join(" ")
    }

    fn shown(self) -> impl Iterator<Item = CodeOf> {
        CodeOf::ALL.into_iter().zip(self.codes).filter(|(_, shown)| *shown).map(|(code, _)| code)
    }

    /// The same for somebody who takes no codes of these kinds. A code of which nobody knows where it came from may have been one.
    #[must_use]
    pub fn without_codes_of(self, refused: &[FactorKind]) -> Self {
        let is_taken = |code: CodeOf| code.kind().is_none_or(|kind| !refused.contains(&kind));
        let is_known = self.codes.contains(&true);
        let counts = match is_known {
            true => self.shown().any(is_taken),
            false => CodeOf::ALL.into_iter().all(is_taken),
        };
        Self { code: self.code && counts, ..self }
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
        let (password, code) = (Proof::Password, Proof::OneTimeCode(CodeOf::App));
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
            assert_eq!(Proven::parse(amr, acr.as_str(), &proven.codes()), proven);
        }
    }

    #[test]
    fn codes_are_told_apart() {
        let of = |code| Proven::default().and(Proof::Password).and(Proof::OneTimeCode(code));
        let refused = [FactorKind::EmailCode];
        for (code, acr) in [(CodeOf::App, Acr::Two), (CodeOf::Recovery, Acr::Two), (CodeOf::Mail, Acr::One)] {
            assert_eq!(of(code).without_codes_of(&refused).acr(), acr, "{code:?}");
        }
        let both = of(CodeOf::Mail).and(Proof::OneTimeCode(CodeOf::App));
        assert_eq!((both.codes().as_str(), both.without_codes_of(&refused).acr()), ("app mail", Acr::Two));
        let unknown = Proven::parse(r#"["pwd","otp","mfa"]"#, "2", "");
        assert_eq!(unknown.acr(), Acr::Two);
        assert_eq!(unknown.without_codes_of(&refused).acr(), Acr::One);
        assert_eq!(unknown.without_codes_of(&[FactorKind::Passkey]).acr(), Acr::Two);
    }

    #[test]
    fn the_stronger_is_good_for_the_weaker() {
        assert!(Acr::PhishingResistant > Acr::Two && Acr::Two > Acr::One);
        assert_eq!(Acr::ALL.map(|acr| Acr::named(acr.as_str())), Acr::ALL.map(Some));
        assert_eq!(Acr::named("3"), None);
    }
}
