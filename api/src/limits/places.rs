//! How many uploads may be in progress: in all, of one address, of one project, and of one party. So no one of them can take
//! all the places. Whoever wants more is told to try again later.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::Error;

/// How many places there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    /// In all.
    pub all: usize,
    /// For uploads from one address.
    pub address: usize,
    /// For one project.
    pub project: usize,
    /// For one party.
    pub party: usize,
}

/// The places for uploads.
pub struct Places {
    shares: Shares,
    taken: Mutex<HashMap<Share, usize>>,
}

/// Who shares places.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Share {
    All,
    Address(IpAddr),
    Project(String),
    Party(String, usize),
}

/// Places that are taken, until it is dropped.
pub struct Taken {
    places: Arc<Places>,
    shares: Vec<Share>,
    objects: usize,
}

impl Places {
    /// All are free.
    pub fn new(shares: Shares) -> Arc<Self> {
        Arc::new(Self { shares, taken: Mutex::default() })
    }

    /// Takes the places of an upload that writes so many objects at once: it is those that take memory.
    ///
    /// # Errors
    /// [`Error::TooManyUploads`] when they are taken, and says whose share it is.
    pub fn take(
        self: &Arc<Self>,
        address: Option<IpAddr>,
        project_uid: &str,
        party: usize,
        objects: usize,
    ) -> Result<Taken, Error> {
        let mut shares =
            vec![Share::All, Share::Project(project_uid.into()), Share::Party(project_uid.into(), party)];
        shares.extend(address.map(Share::Address));
        let mut taken = self.taken();
        for share in &shares {
            let (most, whose) = self.most(share);
            // one upload comes through in any case where nothing else is in progress
            let before = taken.get(share).copied().unwrap_or(0);
            if before > 0 && before + objects > most {
                return Err(Error::TooManyUploads(whose));
            }
        }
        for share in &shares {
            *taken.entry(share.clone()).or_default() += objects;
        }
        drop(taken);
        Ok(Taken { places: self.clone(), shares, objects })
    }

    /// Whether no upload is in progress.
    pub fn are_free(&self) -> bool {
        self.taken().is_empty()
    }

    fn most(&self, share: &Share) -> (usize, &'static str) {
        match share {
            Share::All => (self.shares.all, "in progress"),
            Share::Address(_) => (self.shares.address, "from this address in progress"),
            Share::Project(_) => (self.shares.project, "to this project in progress"),
            Share::Party(..) => (self.shares.party, "of this party in progress"),
        }
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<Share, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        for share in &self.shares {
            if let Some(count) = taken.get_mut(share) {
                *count -= self.objects;
                if *count == 0 {
                    taken.remove(share);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARES: Shares = Shares { all: 8, address: 6, project: 4, party: 2 };

    fn take(places: &Arc<Places>, address: u8, project: &str, party: usize) -> Result<Taken, String> {
        let taken = places.take(Some([address; 4].into()), project, party, 1);
        taken.map_err(|error| error.to_string())
    }

    #[test]
    fn each_party_project_and_address_has_its_share_and_the_refusal_says_which() {
        let places = Places::new(SHARES);
        let mut held = Vec::new();
        for (address, project, party, refused) in [
            (1, "p", 0, None),
            (1, "p", 0, None),
            (1, "p", 0, Some("of this party")),
            (1, "p", 1, None),
            (1, "p", 1, None),
            (1, "p", 2, Some("to this project")),
            (1, "q", 0, None),
            (1, "q", 1, None),
            (1, "r", 0, Some("from this address")),
            (2, "r", 0, None),
            (2, "s", 0, None),
            (3, "t", 0, Some("uploads are in progress")),
        ] {
            match (take(&places, address, project, party), refused) {
                (Ok(taken), None) => held.push(taken),
                (Err(message), Some(whose)) => assert!(message.contains(whose), "{message}"),
                (found, _) => panic!("{project} {party}: {:?}", found.err()),
            }
        }
        held.clear();
        assert!(places.are_free());
        assert!(take(&places, 1, "p", 0).is_ok());
    }

    #[test]
    fn an_upload_with_blocks_takes_two_places_but_is_never_shut_out() {
        let places = Places::new(Shares { all: 1, ..SHARES });
        let first = places.take(None, "p", 0, 2).unwrap();
        assert!(places.take(None, "q", 0, 1).is_err());
        drop(first);
        assert!(places.take(None, "q", 0, 1).is_ok());
    }
}
