//! Passwords come from standard input or are asked for, never from an argument: other people see those.

use std::io::{BufRead, IsTerminal, Read, Write, stderr, stdin};
use std::process::{Command, Stdio};

use anyhow::Context;

use crate::secret::Secret;

/// Longer than any password may be, in bytes.
const MOST_BYTES: u64 = 4096;

/// The password: at a terminal asked for twice, otherwise the one line of standard input.
pub async fn read() -> anyhow::Result<Secret> {
    if !stdin().is_terminal() {
        let mut text = zeroize::Zeroizing::new(String::new());
        stdin()
            .take(MOST_BYTES)
            .read_to_string(&mut text)
            .context("the password on standard input is not UTF-8")?;
        return one_line(&text);
    }
    let _hidden = Hidden::begin();
    // A thread of its own, because waiting for a terminal cannot be given up: the end of the process does not wait for it.
    let (sender, asked) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || sender.send(ask_twice()));
    tokio::select! {
        asked = asked => asked?,
        _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
    }
}

fn one_line(text: &str) -> anyhow::Result<Secret> {
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    anyhow::ensure!(!line.is_empty(), "the password is read from standard input, and that is empty");
    anyhow::ensure!(!line.contains('\n'), "standard input holds more than one line");
    Ok(Secret::new(line))
}

fn ask_twice() -> anyhow::Result<Secret> {
    let (first, again) = (ask("Password: ")?, ask("Once more: ")?);
    anyhow::ensure!(first.expose() == again.expose(), "the two are not the same");
    Ok(first)
}

fn ask(prompt: &str) -> anyhow::Result<Secret> {
    write!(stderr(), "{prompt}")?;
    let mut line = zeroize::Zeroizing::new(String::new());
    stdin().lock().read_line(&mut line)?;
    writeln!(stderr())?;
    one_line(&line)
}

/// Keeps the terminal from showing what is typed, until it is dropped.
struct Hidden;

impl Hidden {
    fn begin() -> Self {
        if !stty("-echo") {
            let _ = writeln!(stderr(), "what you type will be seen: this terminal cannot hide it");
        }
        Self
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        stty("echo");
    }
}

fn stty(mode: &str) -> bool {
    let run = Command::new("stty").arg(mode).stdin(Stdio::inherit()).stderr(Stdio::null()).status();
    run.is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_is_taken_as_it_is() {
        for (text, password) in [("a b\n", "a b"), ("a b\r\n", "a b"), (" a ", " a ")] {
            assert_eq!(one_line(text).unwrap().expose(), password);
        }
        for bad in ["", "\n", "a\nb\n", "a\n\n"] {
            assert!(one_line(bad).is_err(), "{bad:?}");
        }
    }
}
