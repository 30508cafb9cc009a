//! Figures, and how they are shown.

use serde::Serialize;

/// One measured scenario.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub requests: f64,
    pub errors: f64,
}

/// A figure beside what it is compared with.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub engine: String,
    pub scenario: String,
    #[serde(flatten)]
    pub figure: Figure,
    /// Microseconds of the server's CPU per request.
    pub cpu_us: Option<f64>,
    /// The bare figure, by name.
    pub bare: Option<&'static str>,
    pub ratio: Option<f64>,
    /// What the ratio has to reach.
    pub goal: Option<f64>,
}

/// Numbers that stand for themselves.
#[derive(Clone, Debug, Serialize)]
pub struct Single {
    pub name: String,
    pub value: f64,
    pub unit: &'static str,
    /// What it may be at most.
    pub limit: Option<f64>,
}

#[derive(Debug, Default, Serialize)]
pub struct Report {
    pub rows: Vec<Row>,
    pub singles: Vec<Single>,
}

impl Row {
    pub fn fails(&self) -> bool {
        self.figure.errors > 0.0 || self.ratio.zip(self.goal).is_some_and(|(ratio, goal)| ratio < goal)
    }
}

impl Single {
    pub fn fails(&self) -> bool {
        self.limit.is_some_and(|limit| self.value > limit)
    }
}

impl Report {
    pub fn print(&self, json: bool) -> anyhow::Result<()> {
        if json {
            println!("{}", serde_json::to_string_pretty(self)?);
            return Ok(());
        }
        println!(
            "{:<10} {:<28} {:>10} {:>9} {:>9} {:>7} {:>8} {:>16} {:>7} {:>6}",
            "engine", "scenario", "req/s", "p50 ms", "p99 ms", "errors", "cpu µs", "bare", "ratio", "goal"
        );
        for row in &self.rows {
            let or_dash = |value: Option<f64>, places: usize| {
                value.map_or("-".into(), |value| format!("{value:.places$}"))
            };
            println!(
                "{:<10} {:<28} {:>10.1} {:>9.2} {:>9.2} {:>7} {:>8} {:>16} {:>7} {:>6}{}",
                row.engine,
                row.scenario,
                row.figure.per_second,
                row.figure.p50_ms,
                row.figure.p99_ms,
                row.figure.errors,
                or_dash(row.cpu_us, 0),
                row.bare.unwrap_or("-"),
                or_dash(row.ratio, 3),
                or_dash(row.goal, 2),
                if row.fails() { "  MISSED" } else { "" }
            );
        }
        for single in &self.singles {
            let limit = single.limit.map_or(String::new(), |limit| format!(" (at most {limit:.1})"));
            let missed = if single.fails() { "  MISSED" } else { "" };
            println!("{:<48} {:>10.2} {}{limit}{missed}", single.name, single.value, single.unit);
        }
        Ok(())
    }
}
