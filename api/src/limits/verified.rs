//! Remembers which tokens have been verified of late, so that their holders count as clients of their own.
//!
//! A table of fixed size, read and written without a lock: each token has one place, and the last one there stays. Whoever
//! is displaced counts by address until its token is verified the next time.

use std::sync::atomic::{AtomicU64, Ordering};

/// Places, a power of two: half a megabyte.
const PLACES: usize = 1 << 16;

/// Hashes of verified tokens.
pub struct Verified(Box<[AtomicU64]>);

impl Default for Verified {
    fn default() -> Self {
        Self((0..PLACES).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Verified {
    /// Whether the token of this hash is known.
    pub fn knows(&self, hash: u64) -> bool {
        hash != 0 && self.place(hash).load(Ordering::Relaxed) == hash
    }

    /// The token of this hash was verified.
    pub fn remember(&self, hash: u64) {
        self.place(hash).store(hash, Ordering::Relaxed);
    }

    /// The token of this hash was refused: it may have been rotated.
    pub fn forget(&self, hash: u64) {
        // another token may have the place by now
        let _ = self.place(hash).compare_exchange(hash, 0, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn place(&self, hash: u64) -> &AtomicU64 {
        &self.0[hash as usize % PLACES]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_from_its_verification_to_its_refusal() {
        let verified = Verified::default();
        assert!(!verified.knows(7) && !verified.knows(0));
        verified.remember(7);
        assert!(verified.knows(7));
        verified.forget(7 + PLACES as u64);
        assert!(verified.knows(7));
        verified.remember(7 + PLACES as u64);
        assert!(!verified.knows(7));
        verified.forget(7 + PLACES as u64);
        assert!(!verified.knows(7 + PLACES as u64));
    }
}
