//! How far it is, on standard error: a bar where somebody looks, a line now and then where it is kept.

use std::io::{IsTerminal, Write, stderr};

use crate::model::bulk::State;
use crate::session::delete_user::bulk::Shown;

const WIDTH: usize = 40;

pub struct Bar {
    terminal: bool,
    /// What was shown last.
    tenths: Option<i64>,
    drawn: bool,
}

impl Bar {
    pub fn new() -> Self {
        Self { terminal: stderr().is_terminal(), tenths: None, drawn: false }
    }

    /// A reader that has gone misses it.
    pub fn show(&mut self, shown: &Shown) {
        if shown.state == State::Pending {
            return;
        }
        let total: i64 = shown.waiting + shown.outcomes.values().sum::<i64>();
        let settled = total - shown.waiting;
        let tenths = settled * 10 / total.max(1);
        if self.terminal {
            let filled = usize::try_from(settled * 40 / total.max(1)).unwrap_or(WIDTH).min(WIDTH);
            let _ = write!(stderr(), "\r[{:WIDTH$}] {settled}/{total}", "#".repeat(filled));
            self.drawn = true;
        } else if self.tenths != Some(tenths) {
            let _ = writeln!(stderr(), "{settled}/{total}");
        }
        self.tenths = Some(tenths);
    }

    pub fn end(&self) {
        if self.drawn {
            let _ = writeln!(stderr());
        }
    }
}
