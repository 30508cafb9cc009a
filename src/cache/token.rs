//! Access tokens whose signature was right.

use aws_lc_rs::digest;

use crate::ids::ProjectId;
use crate::model::project::Project;

/// A token under the keys of one version of a project. A signature that was right stays right, and whatever happens to
/// the keys makes another version, so this remembers arithmetic and nothing else: time and liveness are judged anew.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProvenToken {
    project: ProjectId,
    version: i64,
    hash: [u8; 32],
}

impl ProvenToken {
    pub fn new(project: &Project, token: &str) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
        Self { project: project.id, version: project.version, hash }
    }
}
