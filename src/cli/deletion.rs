//! `deletion`: what was erased, proven to whoever asks.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Subcommand;
use serde_json::Value;

use crate::session::delete_user::ErasureRecord;

#[derive(Subcommand)]
pub enum Deletion {
    /// Checks an erasure record against a JWK Set of the project, without a store; exits 1 when it is none of the project's.
    #[command(after_help = "\
Examples:
  tessera deletion verify record.jwt --jwks shop.jwks.json
  curl -s \"$BASE_URL/projects/shop/api/delete-user/$ID/record\" -H \"Authorization: Bearer $ADMIN_KEY\" \\
    | tessera deletion verify - --jwks shop.jwks.json

docs/deletion.md tells how to get both, and what a record says.")]
    Verify {
        /// The record, as `GET …/delete-user/{id}/record` answers it; `-` reads it from the input.
        #[arg(value_name = "FILE")]
        record: PathBuf,
        /// The JWK Set of the project, as `.well-known/jwks.json` answers it.
        #[arg(long, value_name = "FILE")]
        jwks: PathBuf,
    },
}

pub fn run(command: &Deletion) -> anyhow::Result<()> {
    let Deletion::Verify { record, jwks } = command;
    let set: Value =
        serde_json::from_str(&read(jwks)?).with_context(|| format!("{} is no JWK Set", jwks.display()))?;
    let keys = set["keys"].as_array().with_context(|| format!("{} is no JWK Set", jwks.display()))?;
    let record = ErasureRecord::verify(read(record)?.trim(), keys)
        .map_err(|why| anyhow::anyhow!("{} proves nothing: {why}", record.display()))?;
    tell(&record)
}

fn read(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = match file.as_os_str() == "-" {
        true => std::io::stdin().read_to_string(&mut text),
        false => std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text)),
    };
    read.with_context(|| format!("{} cannot be read", file.display()))?;
    Ok(text)
}

/// What was proven, beginning with what everybody asks first. The rest is the statement itself.
fn tell(record: &ErasureRecord) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if record.sandbox {
        writeln!(out, "A rehearsal in a sandbox: nobody was erased.")?;
    }
    writeln!(out, "{} was erased at {}, says {}", record.user, record.erased_at, record.iss)?;
    writeln!(out, "{}", serde_json::to_string_pretty(record)?)?;
    Ok(())
}
