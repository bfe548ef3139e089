//! The mask of permutations, encrypted so that only the holder of a private key can read it.

use rand::SeedableRng;
use rand::rngs::ChaCha20Rng;
use rayon::prelude::*;

use super::{Error, Seed};
use crate::paillier::PublicKey;

/// Elements encrypted by each thread before they are handed over.
const PER_THREAD: usize = 32;
/// Streams of the generator from here on belong to the elements; those of the permutations are far below.
const FIRST_STREAM: u64 = 1 << 32;

/// Encrypts the mask on all cores, and hands the ciphertexts over in order, some at a time, in decimal digits.
///
/// The randomness of each element comes from the seed by a stream of its own, so a retried run writes the same bytes.
///
/// # Errors
/// Those of `write`.
pub fn encrypt_mask(
    mask: &[bool],
    key: &PublicKey,
    seed: &Seed,
    mut write: impl FnMut(&[String]) -> Result<(), Error>,
) -> Result<(), Error> {
    let elements = PER_THREAD * rayon::current_num_threads();
    for (number, piece) in mask.chunks(elements).enumerate() {
        let first = number * elements;
        let encrypted: Vec<String> = piece
            .par_iter()
            .enumerate()
            .map(|(offset, &bit)| key.encrypt(bit, &mut generator(seed, (first + offset) as u64)))
            .collect();
        write(&encrypted)?;
    }
    Ok(())
}

fn generator(seed: &Seed, element: u64) -> ChaCha20Rng {
    let mut generator = ChaCha20Rng::from_seed(seed.0);
    generator.set_stream(FIRST_STREAM + element);
    generator
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// n is no product of two primes here: nobody needs to decrypt.
    fn key() -> PublicKey {
        PublicKey::of_modulus(&base64_simd::URL_SAFE_NO_PAD.encode_to_string(vec![0xff; 256])).unwrap()
    }

    fn encrypted(mask: &[bool], seed: u8) -> Vec<String> {
        let mut list = Vec::new();
        encrypt_mask(mask, &key(), &Seed([seed; 32]), |piece| {
            list.extend_from_slice(piece);
            Ok(())
        })
        .unwrap();
        assert_eq!(list.len(), mask.len());
        list
    }

    #[test]
    fn every_element_is_a_ciphertext_of_its_own() {
        assert!(encrypted(&[], 1).is_empty());
        let mask: Vec<bool> =
            (0..2 * PER_THREAD * rayon::current_num_threads() + 1).map(|i| i % 3 == 0).collect();
        let list = encrypted(&mask, 1);
        let values: BTreeSet<&String> = list.iter().collect();
        assert_eq!(values.len(), mask.len(), "no ciphertext comes twice");
        for digits in &list {
            assert!(digits.len() > 1200 && digits.bytes().all(|digit| digit.is_ascii_digit()), "{digits}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads_and_another_seed_others() {
        let mask = [true, false, true, true, false];
        let first = encrypted(&mask, 1);
        let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        assert_eq!(alone.install(|| encrypted(&mask, 1)), first);
        let other = encrypted(&mask, 2);
        assert!(first.iter().zip(&other).all(|(one, two)| one != two));
    }
}
