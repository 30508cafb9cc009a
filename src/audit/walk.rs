//! Recomputing a chain entry by entry, wherever the entries come from.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::chain::{Entry, ZERO};
use super::checkpoint::{Checkpoint, SignedCut};
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
    /// The `kid`s of keys that have to have signed them; `None`: those of the project, as the chain tells them.
    pub keys: Option<HashSet<String>>,
}

impl Demands {
    /// Whether there is nothing but the chain and its store to go by.
    fn are_none(&self) -> bool {
        self.held.is_empty() && self.keys.is_none()
    }
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

const STRANGE_KEY: &str = "its checkpoint is signed with a key that is not the project's";

/// The action of a cut, which says in `detail.through` up to where, and has it signed in `detail.proof`.
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
    /// What the last cut says of itself.
    cut: Option<String>,
    /// The `kid`s of keys whose signature counts. Where nothing was kept elsewhere, those that the store and the chain tell of;
    /// otherwise those that were kept, and those that the chain had told of when such a one signed it.
    trusted: HashSet<String>,
    /// Keys that the chain has told of.
    told: HashSet<String>,
    /// The hashes of the entry before the first one, and of those that have a checkpoint.
    marks: HashMap<i64, Vec<u8>>,
}

impl<'a> Walk<'a> {
    /// `known`: the `kid`s that the store tells of.
    pub fn new(project: ProjectId, demands: &'a Demands, known: HashSet<String>) -> Result<Self, Stop> {
        let mut held: BTreeMap<i64, Vec<&Checkpoint>> = BTreeMap::new();
        for checkpoint in &demands.held {
            if checkpoint.project != project {
                return Err(Stop::at(checkpoint.seq, "the checkpoint is of another project"));
            }
            held.entry(checkpoint.seq).or_default().push(checkpoint);
        }
        let trusted = match &demands.keys {
            Some(keys) => keys.clone(),
            None if demands.are_none() => known,
            None => HashSet::new(),
        };
        let (hash, told, marks) = (ZERO.to_vec(), HashSet::new(), HashMap::new());
        Ok(Self { project, demands, held, seq: 0, hash, base: None, cut: None, trusted, told, marks })
    }

    /// Where the chain begins. For a number above 0, the caller has to prove that what lay before was cut by the rule.
    pub fn begin(&mut self, first: &Entry) -> Result<i64, Stop> {
        let base = first.seq.saturating_sub(1).max(0);
        self.base = Some(base);
        if base > 0 {
            (self.seq, self.hash) = (base, first.prev_hash.clone());
            self.marks.insert(base, first.prev_hash.clone());
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
            e if e.seq - 1 != self.seq => Some("an entry is missing before this one"),
            e if e.prev_hash != self.hash => Some("it does not follow the entry before it"),
            e if e.computed_hash(self.project) != e.hash => Some("its content does not fit its hash"),
            e if !e.is_kept() => Some("what it seals does not fit its commitment"),
            _ => None,
        };
        if let Some(why) = why {
            return Err(Stop::at(self.seq + 1, why));
        }
        match entry.action.as_str() {
            KEY_MADE => self.hear_of(entry.target.strip_prefix("signing_key:")),
            CUT => self.cut = Some(entry.detail),
            _ => {}
        }
        (self.seq, self.hash) = (entry.seq, entry.hash);
        self.meet()
    }

    fn hear_of(&mut self, kid: Option<&str>) {
        self.told.extend(kid.map(str::to_owned));
        if self.demands.are_none() {
            self.trusted.extend(kid.map(str::to_owned));
        }
    }

    /// Compares what was kept elsewhere with the entry that the walk has reached.
    fn meet(&mut self) -> Result<(), Stop> {
        let held = self.held.remove(&self.seq).unwrap_or_default();
        for checkpoint in held {
            self.compare(checkpoint)?;
            let counts = match &self.demands.keys {
                Some(keys) => keys.contains(&checkpoint.kid),
                // The beginning of a chain that was cut told of its keys; the instance's chain has another's.
                None => self.begins_late() || self.told.contains(&checkpoint.kid) || self.is_of_instance(),
            };
            if !counts {
                return Err(Stop::at(self.seq, STRANGE_KEY));
            }
            self.vouch(checkpoint);
        }
        Ok(())
    }

    /// A checkpoint of the store: it has to say what the walk has found, and counts if its key does.
    pub fn judge(&mut self, checkpoint: &Checkpoint) -> Result<(), Stop> {
        self.compare(checkpoint)?;
        // Whoever signed it: what the entry's hash is, the chain says. Whether a cut there counts is its own signature's affair.
        self.marks.insert(self.seq, self.hash.clone());
        if self.trusted.contains(&checkpoint.kid) {
            self.vouch(checkpoint);
            return Ok(());
        }
        // Of a key that was made before the beginning, or that nobody vouches for, it proves nothing.
        let is_known = self.begins_late() || self.told.contains(&checkpoint.kid) || self.is_of_instance();
        if is_known { Ok(()) } else { Err(Stop::at(self.seq, STRANGE_KEY)) }
    }

    fn compare(&self, checkpoint: &Checkpoint) -> Result<(), Stop> {
        let found = (self.project, self.seq, self.hash.as_slice());
        if (checkpoint.project, checkpoint.seq, checkpoint.hash.as_slice()) == found {
            return Ok(());
        }
        Err(Stop::at(self.seq, "a checkpoint says something else of it"))
    }

    /// With the chain up to here, its key has signed which keys there were.
    fn vouch(&mut self, checkpoint: &Checkpoint) {
        self.trusted.insert(checkpoint.kid.clone());
        self.trusted.extend(self.told.iter().cloned());
        self.marks.insert(self.seq, self.hash.clone());
    }

    fn begins_late(&self) -> bool {
        self.base.is_some_and(|base| base > 0)
    }

    fn is_of_instance(&self) -> bool {
        self.project == ProjectId::INSTANCE
    }

    /// Whether what lay before the first entry was cut by the rule: the chain has to say so itself, in an entry that a key
    /// signed which counts. A cut under way has not reached its end yet.
    pub fn check_cut(&self) -> Result<(), Stop> {
        let Some(base) = self.base.filter(|base| *base > 0) else { return Ok(()) };
        let cut = self.cut.as_deref().and_then(SignedCut::of_detail);
        let is_told = cut.is_some_and(|cut| {
            cut.project == self.project
                && cut.through >= base
                && self.trusted.contains(&cut.kid)
                && self.marks.get(&cut.through) == Some(&cut.hash)
        });
        if is_told { Ok(()) } else { Err(Stop::at(1, BEGINNING)) }
    }

    /// The end of the entries, and their number.
    pub fn end(self) -> Result<i64, Stop> {
        if !self.held.is_empty() {
            return Err(Stop::at(self.seq + 1, "the end has been cut off: a checkpoint covers more"));
        }
        Ok(self.seq - self.base.unwrap_or_default())
    }
}
