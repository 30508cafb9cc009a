//! Recomputing a chain entry by entry, wherever the entries come from.

use std::collections::{BTreeMap, HashSet};

use super::chain::{Entry, ZERO};
use super::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::ids::ProjectId;

/// What a recomputed chain says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// So many entries follow each other, from the first one that is kept to the last.
    Whole { events: i64 },
    /// The first bad link.
    Broken { seq: i64, why: &'static str },
}

/// What is demanded of a chain beside its being one.
#[derive(Clone, Debug, Default)]
pub struct Demands {
    /// What it has to contain: checkpoints that somebody kept.
    pub held: Vec<Checkpoint>,
    /// The `kid`s of keys that may have signed checkpoints; `None`: those of the project, as the chain tells them.
    pub keys: Option<HashSet<String>>,
}

/// The end of a walk before the end of the chain.
pub(super) enum Stop {
    Broken { seq: i64, why: &'static str },
    Failed(Error),
}

impl Stop {
    pub fn at(seq: i64, why: &'static str) -> Self {
        Self::Broken { seq, why }
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// The number of entries, or the first bad link.
pub(super) fn verdict(outcome: Result<i64, Stop>) -> Result<Verdict> {
    match outcome {
        Ok(events) => Ok(Verdict::Whole { events }),
        Err(Stop::Broken { seq, why }) => Ok(Verdict::Broken { seq, why }),
        Err(Stop::Failed(error)) => Err(error),
    }
}

pub(super) const BEGINNING: &str = "the beginning has been cut off";

/// The action of a cut, which says in `detail.through` up to where.
pub(super) const CUT: &str = "audit_log.cut";

const KEY_MADE: &str = "signing_key.created";

/// The walk along one chain.
pub(super) struct Walk<'a> {
    project: ProjectId,
    demands: &'a Demands,
    /// Kept elsewhere, and not reached yet.
    held: BTreeMap<i64, Vec<&'a Checkpoint>>,
    pub seq: i64,
    pub hash: Vec<u8>,
    /// The number before the first entry that is kept; `None` before that.
    pub base: Option<i64>,
    /// Up to where the last cut says to have cut.
    cut: i64,
    keys_made: HashSet<String>,
    /// The entries of which a checkpoint says the same.
    signed: HashSet<i64>,
}

impl<'a> Walk<'a> {
    pub fn new(project: ProjectId, demands: &'a Demands) -> Result<Self, Stop> {
        let mut held: BTreeMap<i64, Vec<&Checkpoint>> = BTreeMap::new();
        for checkpoint in &demands.held {
            if checkpoint.project != project {
                return Err(Stop::at(checkpoint.seq, "the checkpoint is of another project"));
            }
            held.entry(checkpoint.seq).or_default().push(checkpoint);
        }
        let (hash, keys_made, signed) = (ZERO.to_vec(), HashSet::new(), HashSet::new());
        Ok(Self { project, demands, held, seq: 0, hash, base: None, cut: 0, keys_made, signed })
    }

    /// Where the chain begins. For a number above 0, the caller has to prove that what lay before was cut by the rule.
    pub fn begin(&mut self, first: &Entry) -> Result<i64, Stop> {
        let base = (first.seq - 1).max(0);
        self.base = Some(base);
        if base > 0 {
            (self.seq, self.hash) = (base, first.prev_hash.clone());
        }
        if let Some((&seq, _)) = self.held.range(..base).next() {
            return Err(Stop::at(seq, "what the checkpoint covers is no longer kept: take a later one"));
        }
        self.meet()?;
        Ok(base)
    }

    /// The next entry.
    pub fn step(&mut self, entry: Entry) -> Result<(), Stop> {
        let why = match &entry {
            e if e.seq <= self.seq => Some("an entry stands here that has its place before"),
            e if e.seq != self.seq + 1 => Some("an entry is missing before this one"),
            e if e.prev_hash != self.hash => Some("it does not follow the entry before it"),
            e if e.computed_hash(self.project) != e.hash => Some("its content does not fit its hash"),
            e if !e.is_kept() => Some("what it seals does not fit its commitment"),
            _ => None,
        };
        if let Some(why) = why {
            return Err(Stop::at(self.seq + 1, why));
        }
        match entry.action.as_str() {
            KEY_MADE => self.keys_made.extend(entry.target.strip_prefix("signing_key:").map(str::to_owned)),
            CUT => self.cut = self.cut.max(cut_through(&entry)),
            _ => {}
        }
        (self.seq, self.hash) = (entry.seq, entry.hash);
        self.meet()
    }

    /// Compares what was kept elsewhere with the entry that the walk has reached.
    fn meet(&mut self) -> Result<(), Stop> {
        let held = self.held.remove(&self.seq).unwrap_or_default();
        held.into_iter().try_for_each(|checkpoint| self.judge(checkpoint))
    }

    /// Whether a checkpoint says what the walk has found, under a key that may sign.
    pub fn judge(&mut self, checkpoint: &Checkpoint) -> Result<(), Stop> {
        let found = (self.project, self.seq, self.hash.as_slice());
        if (checkpoint.project, checkpoint.seq, checkpoint.hash.as_slice()) != found {
            return Err(Stop::at(self.seq, "a checkpoint says something else of it"));
        }
        let known = match &self.demands.keys {
            Some(keys) => keys.contains(&checkpoint.kid),
            // The beginning of a chain that was cut told of its keys.
            None => self.base.is_some_and(|base| base > 0) || self.keys_made.contains(&checkpoint.kid),
        };
        if known {
            self.signed.insert(self.seq);
            return Ok(());
        }
        Err(Stop::at(self.seq, "its checkpoint is signed with a key that is not the project's"))
    }

    /// Whether the chain itself says that what lay before its first entry was cut, and at a signed checkpoint. A cut under way
    /// has not reached it yet.
    pub fn check_cut(&self) -> Result<(), Stop> {
        let is_cut = self.base.is_some_and(|base| base > 0);
        let is_told = self.base.is_some_and(|base| self.cut >= base) && self.signed.contains(&self.cut);
        if is_cut && !is_told { Err(Stop::at(1, BEGINNING)) } else { Ok(()) }
    }

    /// The end of the entries, and their number.
    pub fn end(self) -> Result<i64, Stop> {
        if !self.held.is_empty() {
            return Err(Stop::at(self.seq + 1, "the end has been cut off: a checkpoint covers more"));
        }
        Ok(self.seq - self.base.unwrap_or_default())
    }
}

fn cut_through(entry: &Entry) -> i64 {
    let detail: serde_json::Value = serde_json::from_str(&entry.detail).unwrap_or_default();
    detail["through"].as_i64().unwrap_or_default()
}
