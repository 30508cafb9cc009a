//! How far it is, on standard error: a bar where somebody looks, a line now and then where it is kept.

use std::io::{IsTerminal, Stderr, Write, stderr};

use crate::model::bulk::State;
use crate::session::delete_user::bulk::Shown;

const WIDTH: usize = 40;

pub struct Bar<W> {
    out: W,
    terminal: bool,
    /// What was shown last.
    tenths: Option<i64>,
    drawn: bool,
}

impl Bar<Stderr> {
    pub fn new() -> Self {
        Self::on(stderr(), stderr().is_terminal())
    }
}

impl<W: Write> Bar<W> {
    const fn on(out: W, terminal: bool) -> Self {
        Self { out, terminal, tenths: None, drawn: false }
    }

    pub fn show(&mut self, shown: &Shown) {
        if shown.state != State::Pending {
            let settled = shown.outcomes.values().sum();
            self.draw(settled, shown.waiting + settled);
        }
    }

    /// A reader that has gone misses it.
    fn draw(&mut self, settled: i64, total: i64) {
        let tenths = settled * 10 / total.max(1);
        if self.terminal {
            let filled = usize::try_from(settled * 40 / total.max(1)).unwrap_or(WIDTH).min(WIDTH);
            let _ = write!(self.out, "\r[{:WIDTH$}] {settled}/{total}", "#".repeat(filled));
            self.drawn = true;
        } else if self.tenths != Some(tenths) {
            let _ = writeln!(self.out, "{settled}/{total}");
        }
        self.tenths = Some(tenths);
    }

    pub fn end(&mut self) {
        if self.drawn {
            let _ = writeln!(self.out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(terminal: bool, steps: &[(i64, i64)]) -> String {
        let mut bar = Bar::on(Vec::new(), terminal);
        for (settled, total) in steps {
            bar.draw(*settled, *total);
        }
        bar.end();
        String::from_utf8(bar.out).unwrap()
    }

    #[test]
    fn a_terminal_sees_a_bar() {
        let half = format!("\r[{}{}] 2/4", "#".repeat(20), " ".repeat(20));
        let whole = format!("\r[{}] 4/4", "#".repeat(40));
        assert_eq!(drawn(true, &[(2, 4), (4, 4)]), format!("{half}{whole}\n"));
        assert_eq!(drawn(true, &[(0, 0)]), format!("\r[{}] 0/0\n", " ".repeat(40)));
    }

    #[test]
    fn a_file_gets_a_line_for_each_tenth() {
        let steps: Vec<_> = (0..=100).map(|settled| (settled, 100)).collect();
        let lines = drawn(false, &steps);
        assert_eq!(lines.lines().count(), 11);
        assert!(lines.starts_with("0/100\n10/100\n") && lines.ends_with("90/100\n100/100\n"), "{lines}");
        assert_eq!(drawn(false, &[(1, 3), (1, 3), (3, 3)]), "1/3\n3/3\n");
    }
}
