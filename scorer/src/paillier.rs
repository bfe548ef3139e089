//! Paillier public keys as PyPI's `phe` writes them (`pheutil genpkey`, `pheutil extract`), and encrypting with them.
//!
//! The arithmetic is `fast-paillier`'s: a ciphertext of m is (1 + n·m)·rⁿ mod n², with a fresh r below n for each
//! (Paillier, "Public-Key Cryptosystems Based on Composite Degree Residuosity Classes", 1999; g = n + 1).

use fast_paillier::EncryptionKey;
use fast_paillier::backend::Integer;
use rand::Rng;
use thiserror::Error;

/// Fewest bits of a key: some 112 bits of security, what NIST SP 800-57 asks for at least.
pub const MIN_BITS: u64 = 2048;
/// Most bits of a key: one of them needs seconds an element.
pub const MAX_BITS: u64 = 8192;
/// `kty` of a key.
pub const KEY_TYPE: &str = "DAJ";
/// `alg` of a public key.
pub const ALGORITHM: &str = "PAI-GN1";

/// With which whoever has the private key may be told something.
#[derive(Clone, Debug)]
pub struct PublicKey {
    key: EncryptionKey,
    bits: u64,
}

/// Why a text is no key that may be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum KeyError {
    /// `kty` or `alg` is another one.
    #[error("the Paillier public key must have kty \"DAJ\" and alg \"PAI-GN1\", as pheutil writes it")]
    OtherKind,
    /// `n` cannot be read.
    #[error("the Paillier public key's n must be base64url of a number, as pheutil writes it")]
    Malformed,
    /// `n` is too short.
    #[error("the Paillier public key has {0} bits; it must have at least {MIN_BITS}")]
    TooShort(u64),
    /// `n` is too long.
    #[error("the Paillier public key has {0} bits; it must have at most {MAX_BITS}")]
    TooLong(u64),
    /// `n` is no product of two large primes.
    #[error("the Paillier public key's n is even; it must be the product of two large primes")]
    Even,
}

impl PublicKey {
    /// The key of a JSON Web Key.
    ///
    /// # Errors
    /// When it is none, or is not to be used. Whether n is the product of two primes cannot be seen.
    pub fn new(kty: &str, alg: &str, n: &str) -> Result<Self, KeyError> {
        if (kty, alg) != (KEY_TYPE, ALGORITHM) {
            return Err(KeyError::OtherKind);
        }
        Self::of_modulus(n)
    }

    /// The key of a modulus n in base64url.
    ///
    /// # Errors
    /// As [`PublicKey::new`].
    pub fn of_modulus(n: &str) -> Result<Self, KeyError> {
        let n = n.trim_end_matches('=');
        if n.len() as u64 > MAX_BITS {
            return Err(KeyError::TooLong(n.len() as u64 * 6));
        }
        let bytes = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(n).map_err(|_| KeyError::Malformed)?;
        let n = Integer::from_bytes_msf(&bytes);
        match n.significant_bits() {
            0 => Err(KeyError::Malformed),
            bits if bits < MIN_BITS => Err(KeyError::TooShort(bits)),
            bits if bits > MAX_BITS => Err(KeyError::TooLong(bits)),
            _ if n.is_even() => Err(KeyError::Even),
            bits => Ok(Self { key: EncryptionKey::from_n(n), bits }),
        }
    }

    /// Bits of n.
    pub fn bits(&self) -> u64 {
        self.bits
    }

    /// Encrypts 0 or 1; the ciphertext in decimal digits. What it is to hide is as safe as the generator.
    pub fn encrypt(&self, bit: bool, random: &mut impl Rng) -> String {
        let plaintext = Integer::from(i32::from(bit));
        loop {
            // fails for an r that shares a factor with n: such a one would be the private key, and is never drawn
            if let Ok(ciphertext) = self.key.encrypt_with(&plaintext, &self.nonce(random)) {
                return ciphertext.to_str_radix(10);
            }
        }
    }

    /// A uniform number below n.
    fn nonce(&self, random: &mut impl Rng) -> Integer {
        let (length, spare) = (self.bits.div_ceil(8) as usize, self.bits.wrapping_neg() % 8);
        let mut bytes = vec![0; length];
        loop {
            random.fill_bytes(&mut bytes);
            bytes[0] &= 0xff >> spare;
            let drawn = Integer::from_bytes_msf(&bytes);
            if drawn < *self.key.n() {
                return drawn;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::ChaCha20Rng;

    use super::*;

    fn base64(bytes: &[u8]) -> String {
        base64_simd::URL_SAFE_NO_PAD.encode_to_string(bytes)
    }

    /// Some odd number of so many bits.
    fn modulus(bits: usize) -> String {
        let mut bytes = vec![0x5b; bits.div_ceil(8)];
        let spare = bits.wrapping_neg() % 8;
        bytes[0] = 0x80 >> spare | (bytes[0] & (0x7f >> spare));
        base64(&bytes)
    }

    fn refused(kty: &str, alg: &str, n: &str) -> KeyError {
        PublicKey::new(kty, alg, n).unwrap_err()
    }

    #[test]
    fn keys_are_read_as_phe_writes_them() {
        for bits in [2048, 2049, 2055, 3072, 8192] {
            let key = PublicKey::new("DAJ", "PAI-GN1", &modulus(bits)).unwrap();
            assert_eq!(key.bits(), bits as u64);
            PublicKey::new("DAJ", "PAI-GN1", &format!("{}==", modulus(bits))).unwrap();
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let good = modulus(2048);
        assert_eq!(refused("RSA", "PAI-GN1", &good), KeyError::OtherKind);
        assert_eq!(refused("DAJ", "RS256", &good), KeyError::OtherKind);
        for n in ["", "=", "!", "ä", "AA+/", "A", &"A".repeat(342)] {
            assert_eq!(refused("DAJ", "PAI-GN1", n), KeyError::Malformed, "{n}");
        }
        for bits in [8, 1024, 2047] {
            assert_eq!(refused("DAJ", "PAI-GN1", &modulus(bits)), KeyError::TooShort(bits as u64));
        }
        // zeros in front do not make a key longer
        let padded = [vec![0; 128], vec![0xff; 128]].concat();
        assert_eq!(refused("DAJ", "PAI-GN1", &base64(&padded)), KeyError::TooShort(1024));
        assert_eq!(refused("DAJ", "PAI-GN1", &modulus(8193)), KeyError::TooLong(8193));
        assert!(matches!(refused("DAJ", "PAI-GN1", &"_".repeat(1 << 20)), KeyError::TooLong(_)));
        let even = [vec![0xff; 255], vec![0xfe]].concat();
        assert_eq!(refused("DAJ", "PAI-GN1", &base64(&even)), KeyError::Even);
    }

    #[test]
    fn nonces_are_below_the_modulus_and_fill_its_bits() {
        let key = PublicKey::of_modulus(&modulus(2049)).unwrap();
        let mut random = ChaCha20Rng::from_seed([1; 32]);
        let drawn: Vec<Integer> = (0..200).map(|_| key.nonce(&mut random)).collect();
        assert!(drawn.iter().all(|nonce| nonce < key.key.n()));
        // n is a little above 2^2048, so most are of 2048 bits or just below
        assert!(drawn.iter().filter(|nonce| nonce.significant_bits() >= 2045).count() > 150);
    }
}
