//! Permutations with a mask that only the holder of a key can read.
//!
//! The mask is encrypted once, and written to all objects at the same time; in the clear it is written nowhere.

use std::time::Instant;

use super::Work;
use super::outputs::{Object, Out, Output};
use crate::paillier::PublicKey;
use crate::result::{EncryptedMaskWriter, Permutations, Seed, encrypt_mask};
use crate::summary::{Failure, ResultObject};

/// Writes the encrypted mask for the result token, and for each party behind its permutation.
///
/// # Errors
/// When the store does not answer.
pub(super) fn write(
    work: &Work,
    permutations: &Permutations,
    key: &PublicKey,
    seed: &Seed,
    outputs: Vec<Output>,
) -> Result<Vec<ResultObject>, Failure> {
    let start = Instant::now();
    let begin = |Output { object, out }: Output| -> Result<_, Failure> {
        let party = permutation_of(&object);
        let writer = EncryptedMaskWriter::new(out, object.format, permutations, party)?;
        Ok((object, writer))
    };
    let mut objects: Vec<(Object, EncryptedMaskWriter<Out>)> =
        outputs.into_iter().map(begin).collect::<Result<_, _>>()?;
    let mask = permutations.mask();
    work.state.add_mask_total(mask.len() as u64);
    encrypt_mask(mask, key, seed, |ciphertexts| {
        objects.iter_mut().try_for_each(|(_, writer)| writer.elements(ciphertexts))?;
        work.state.add_mask_done(ciphertexts.len() as u64);
        Ok(())
    })?;
    tracing::info!(
        run = work.plan.run,
        elements = mask.len(),
        bits = key.bits(),
        seconds = start.elapsed().as_secs_f64(),
        "encrypted the mask"
    );
    objects.into_iter().map(|(object, writer)| object.finish(writer.finish()?)).collect()
}

/// The party whose permutation an object holds; None where it holds the mask alone.
pub(super) fn permutation_of(object: &Object) -> Option<usize> {
    object.name.strip_prefix("permutation-")?.parse().ok()
}
