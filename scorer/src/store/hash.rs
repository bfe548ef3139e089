//! What tells an object from any other: BLAKE3 of its content.

use blake3::Hasher;

/// What the widest instructions (AVX-512) hash at once: 16 chunks of 1 KiB. BLAKE3 is several times slower where it gets
/// less at a time, or where the pieces begin anywhere.
const PIECE_BYTES: usize = 16 << 10;

/// Hashes content as it passes, a little of it or much of it at a time: bodies of requests come in pieces of any size.
pub(crate) struct ContentHash {
    hasher: Hasher,
    /// What is not hashed yet: less than a piece.
    pending: Vec<u8>,
}

impl ContentHash {
    pub fn new() -> Self {
        Self { hasher: Hasher::new(), pending: Vec::new() }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, mut data: &[u8]) {
        if !self.pending.is_empty() {
            let (now, later) = data.split_at(data.len().min(PIECE_BYTES - self.pending.len()));
            self.pending.extend_from_slice(now);
            if self.pending.len() < PIECE_BYTES {
                return;
            }
            self.hasher.update(&self.pending);
            self.pending.clear();
            data = later;
        }
        let (pieces, rest) = data.split_at(data.len() - data.len() % PIECE_BYTES);
        self.hasher.update(pieces);
        self.pending.extend_from_slice(rest);
    }

    /// The hash of all that has come, in hex.
    pub fn hex(&self) -> String {
        let mut whole = self.hasher.clone();
        whole.update(&self.pending).finalize().to_hex().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_any_size_make_the_hash_of_the_whole() {
        let content: Vec<u8> = (0..5 * PIECE_BYTES + 17).map(|at| (at % 251) as u8).collect();
        let expected = blake3::hash(&content).to_hex();
        for size in [1, 1000, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES, content.len()] {
            let mut hash = ContentHash::new();
            for piece in content.chunks(size) {
                hash.update(piece);
                hash.update(&[]);
            }
            assert_eq!(hash.hex(), expected.as_str(), "{size}");
        }
    }

    #[test]
    fn it_is_what_b3sum_prints() {
        let mut hash = ContentHash::new();
        assert_eq!(hash.hex(), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
        hash.update(b"abc");
        assert_eq!(hash.hex(), "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
    }
}
