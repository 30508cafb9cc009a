//! Recovery codes: ten, each good once, for whoever has lost every other second factor. They are shown when they are made,
//! and never again.

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use super::spend::Spend;
use crate::app::Ctx;
use crate::error::Result;
use crate::ids::{ProjectId, UserId};
use crate::keys::master::Place;
use crate::secret::Secret;
use crate::store::db::Conn;
use crate::store::recovery_codes;

const COUNT: usize = 10;
/// Without vowels, which make words, and without what looks like something else.
const ALPHABET: &[u8; 24] = b"23456789bcdfghjkmnpqrstv";
/// Characters of a code: 55 bits.
const LENGTH: usize = 12;

/// A set to be, and the codes that its owner is shown.
pub struct NewCodes {
    pub codes: Vec<Secret>,
    sealed_key: Vec<u8>,
    hashes: Vec<Vec<u8>>,
}

impl NewCodes {
    pub fn make(ctx: &Ctx, user: UserId) -> Result<Self> {
        let key = Zeroizing::new(ctx.app.entropy.bytes::<32>()?);
        let row = user.to_string();
        let sealed_key =
            ctx.app.master_keys.seal(&ctx.app.entropy, &place(ctx.project.id, &row), &key[..])?;
        let mut made = Self { codes: Vec::new(), sealed_key, hashes: Vec::new() };
        while made.codes.len() < COUNT {
            let code = random_code(ctx)?;
            made.hashes.push(hash(&key[..], &code));
            let parts = [code.get(..4), code.get(4..8), code.get(8..)];
            let shown: Vec<&str> = parts.into_iter().flatten().collect();
            made.codes.push(Secret::new(shown.join("-")));
        }
        Ok(made)
    }

    /// In the place of all former ones.
    pub async fn store(&self, conn: &Conn, ctx: &Ctx, user: UserId) -> Result<()> {
        recovery_codes::replace(conn, ctx.project.id, ctx.now, user, (&self.sealed_key, &self.hashes)).await
    }
}

/// Each character is as likely as any other: a byte that would favour the first ones is thrown away.
fn random_code(ctx: &Ctx) -> Result<Zeroizing<String>> {
    let mut code = Zeroizing::new(String::new());
    let fair = 256 - 256 % ALPHABET.len();
    while code.len() < LENGTH {
        for byte in ctx.app.entropy.bytes::<LENGTH>()?.map(usize::from) {
            if byte < fair && code.len() < LENGTH {
                code.extend(ALPHABET.get(byte % ALPHABET.len()).map(|byte| char::from(*byte)));
            }
        }
    }
    Ok(code)
}

/// What a code uses up. `None`: it is none of its owner's, or was used before. Of many who show it at once, the unit that
/// uses it up finds the first.
pub(super) async fn check(ctx: &Ctx, user: UserId, typed: &Secret) -> Result<Option<Spend>> {
    let Some(code) = normalized(typed) else { return Ok(None) };
    let project = ctx.project.id;
    let find = |conn| async move { recovery_codes::find_key(&conn, project, user).await };
    let Some(sealed) = ctx.app.db.read(find).await? else { return Ok(None) };
    let key = ctx.app.master_keys.open(&place(project, &user.to_string()), &sealed)?;
    let hash = &hash(&key, &code);
    let find = |conn| async move { recovery_codes::is_unused(&conn, project, user, hash).await };
    Ok(ctx.app.db.read(find).await?.then(|| Spend::RecoveryCode { hash: hash.clone() }))
}

/// However it is typed: in capitals, with blanks or hyphens elsewhere.
fn normalized(typed: &Secret) -> Option<Zeroizing<String>> {
    let plain = typed.expose().chars().filter(|c| !c.is_whitespace() && !matches!(c, '-' | '–'));
    let code = Zeroizing::new(plain.flat_map(char::to_lowercase).take(LENGTH + 1).collect::<String>());
    (code.len() == LENGTH && code.bytes().all(|byte| ALPHABET.contains(&byte))).then_some(code)
}

fn hash(key: &[u8], code: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), code.as_bytes()).as_ref().to_vec()
}

pub(crate) fn place(project: ProjectId, user: &str) -> Place<'_> {
    Place { table: "recovery_sets", project, row: user, column: "sealed_key" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_one_however_it_is_typed() {
        let code = Some("bcdf2345ghjk".to_owned());
        for typed in ["bcdf-2345-ghjk", "BCDF2345GHJK", " bcdf 2345-ghjk\n", "b-c-d-f-2345–ghjk"] {
            assert_eq!(normalized(&Secret::new(typed)).map(|code| code.to_string()), code, "{typed}");
        }
        for wrong in ["", "bcdf-2345-ghj", "bcdf-2345-ghjkk", "acdf-2345-ghjk", "bcdf-2345-ghj1"] {
            assert!(normalized(&Secret::new(wrong)).is_none(), "{wrong}");
        }
    }
}
