//! How many calls are under way: of all projects, and of each, so that the slow servers of one leave places for the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::ids::ProjectId;

/// Calls at a time on this node; more wait, and their time runs.
const OF_ALL: usize = 32;
const OF_PROJECT: usize = 8;

/// Projects that are remembered before those without a call are forgotten.
const MOST_REMEMBERED: usize = 256;

pub(super) struct Places {
    all: Arc<Semaphore>,
    each: Mutex<HashMap<ProjectId, Weak<Semaphore>>>,
}

/// One place, until its last clone is dropped: whatever goes on after the call has one.
#[derive(Clone)]
pub(super) struct Place {
    _permits: Arc<[OwnedSemaphorePermit; 2]>,
}

impl Default for Places {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(OF_ALL)), each: Mutex::default() }
    }
}

impl Places {
    /// Waits for a place of the project's first, so that those who wait for their own project take nothing from others.
    pub async fn take(&self, project: ProjectId) -> Option<Place> {
        let own = self.of(project).acquire_owned().await.ok()?;
        let one_of_all = self.all.clone().acquire_owned().await.ok()?;
        Some(Place { _permits: Arc::new([own, one_of_all]) })
    }

    fn of(&self, project: ProjectId) -> Arc<Semaphore> {
        let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = each.get(&project).and_then(Weak::upgrade) {
            return known;
        }
        if each.len() >= MOST_REMEMBERED {
            each.retain(|_, known| known.strong_count() > 0);
        }
        let made = Arc::new(Semaphore::new(OF_PROJECT));
        each.insert(project, Arc::downgrade(&made));
        made
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn a_project_has_a_share_and_gives_it_back() {
        let (places, one, other) =
            (Places::default(), ProjectId(Uuid::from_u128(1)), ProjectId(Uuid::from_u128(2)));
        let mut taken = Vec::new();
        for _ in 0..OF_PROJECT {
            taken.push(places.take(one).await.unwrap());
        }
        assert_eq!(places.of(one).available_permits(), 0);
        taken.push(places.take(other).await.unwrap());
        assert_eq!(places.all.available_permits(), OF_ALL - OF_PROJECT - 1);
        // What goes on after the call keeps its place.
        let clone = taken[0].clone();
        taken.clear();
        assert_eq!(
            (places.all.available_permits(), places.of(one).available_permits()),
            (OF_ALL - 1, OF_PROJECT - 1)
        );
        drop(clone);
        assert_eq!(places.all.available_permits(), OF_ALL);
    }

    #[tokio::test]
    async fn projects_without_a_call_are_forgotten() {
        let places = Places::default();
        for n in 0..1000 {
            places.take(ProjectId(Uuid::from_u128(n))).await.unwrap();
        }
        assert!(places.each.lock().unwrap().len() <= MOST_REMEMBERED);
    }
}
