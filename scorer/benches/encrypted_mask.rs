//! How fast a mask is encrypted: elements a second, on one core and on all.
//!
//! `cargo bench --package scorer --bench encrypted_mask -- [BITS [ELEMENTS]]`

#![allow(clippy::unwrap_used, reason = "it is no part of the product")]

use std::time::Instant;

use rand::rngs::ChaCha20Rng;
use rand::{Rng, SeedableRng};
use scorer::paillier::PublicKey;
use scorer::result::{Seed, encrypt_mask};

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let bits = numbers.first().copied().unwrap_or(2048);
    let elements = numbers.get(1).copied().unwrap_or(400);
    let mut modulus = vec![0; bits.div_ceil(8)];
    ChaCha20Rng::from_seed([1; 32]).fill_bytes(&mut modulus);
    modulus[0] |= 0x80;
    *modulus.last_mut().unwrap() |= 1;
    let key = PublicKey::of_modulus(&base64_simd::URL_SAFE_NO_PAD.encode_to_string(modulus)).unwrap();
    let mask: Vec<bool> = (0..elements).map(|element| element % 2 == 0).collect();
    for threads in [1, std::thread::available_parallelism().map_or(1, usize::from)] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let start = Instant::now();
        pool.install(|| encrypt_mask(&mask, &key, &Seed([2; 32]), |_| Ok(()))).unwrap();
        let rate = elements as f64 / start.elapsed().as_secs_f64();
        println!("{} bits, {threads} threads: {rate:.1} elements a second", key.bits());
    }
}
