//! How many requests may wait for something to change: in all, and of one client. Each holds a connection and some memory.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::Error;

/// How many requests may wait.
#[derive(Clone, Copy, Debug)]
pub struct MostWaiting {
    /// In all.
    pub in_all: usize,
    /// Of one client: the holders of one token of one project, or a user of the cluster.
    pub of_client: usize,
}

/// The requests that wait.
pub struct Waiting {
    most: MostWaiting,
    by_client: Mutex<HashMap<String, usize>>,
}

/// The place of a request that waits, until it is dropped.
pub struct Place {
    waiting: Arc<Waiting>,
    client: String,
}

impl Waiting {
    /// Nobody waits yet.
    pub fn new(most: MostWaiting) -> Arc<Self> {
        Arc::new(Self { most, by_client: Mutex::default() })
    }

    /// A place for a request of this client.
    ///
    /// # Errors
    /// [`Error::TooManyWaiting`] when all places, or the client's, are taken.
    pub fn enter(self: &Arc<Self>, client: String) -> Result<Place, Error> {
        let mut clients = self.clients();
        let in_all: usize = clients.values().sum();
        let of_client = clients.get(&client).copied().unwrap_or(0);
        if in_all >= self.most.in_all || of_client >= self.most.of_client {
            return Err(Error::TooManyWaiting);
        }
        clients.insert(client.clone(), of_client + 1);
        Ok(Place { waiting: self.clone(), client })
    }

    /// How many requests wait.
    pub fn count(&self) -> usize {
        self.clients().values().sum()
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.by_client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Entry::Occupied(mut count) = self.waiting.clients().entry(std::mem::take(&mut self.client)) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_in_all_and_by_client_and_come_back() {
        let waiting = Waiting::new(MostWaiting { in_all: 3, of_client: 2 });
        let enter = |client: &str| waiting.enter(client.into());
        let (first, second) = (enter("a").unwrap(), enter("a").unwrap());
        assert!(matches!(enter("a"), Err(Error::TooManyWaiting)), "the client's are taken");
        let third = enter("b").unwrap();
        assert!(enter("c").is_err(), "all are taken");
        drop(first);
        let fourth = enter("c").unwrap();
        assert!(enter("a").is_err());
        drop((second, third, fourth));
        assert!(waiting.clients().is_empty());
    }
}
