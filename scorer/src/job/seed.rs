//! The secret from which a run's permutations come.
//!
//! A pod that is started again must draw the same permutations, or a party could read one and the mask of the other.
//! So the seed outlives the pod, beside the run's other objects, until the result is complete; then it is deleted,
//! as it is all that one needs to tell which records match.

use bytes::Bytes;
use rand::TryRng;
use rand::rngs::SysRng;

use super::failure::{corrupt, internal};
use crate::result::Seed;
use crate::store::Store;
use crate::summary::Failure;

/// The run's seed: drawn from the system's random generator by whoever comes first.
pub(super) async fn obtain(store: &Store, key: &str) -> Result<Seed, Failure> {
    let mut drawn = [0; 32];
    SysRng.try_fill_bytes(&mut drawn).map_err(|error| internal(&format!("no random numbers: {error}")))?;
    let fresh = Bytes::copy_from_slice(&drawn);
    if store.put_if_absent(key, fresh, "application/octet-stream").await? {
        return Ok(Seed(drawn));
    }
    let kept = store.read_small(key, 32).await?;
    kept.try_into().map(Seed).map_err(|_| corrupt(key, "it is no seed"))
}
