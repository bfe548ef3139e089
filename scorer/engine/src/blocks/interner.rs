use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

/// Gives every different byte string a number, in the order of first appearance, and keeps the strings.
#[derive(Debug, Default)]
pub(super) struct Interner {
    /// All strings, one after the other.
    bytes: Vec<u8>,
    /// Where each string ends.
    ends: Vec<usize>,
    numbers: HashTable<u32>,
    /// Keyed at random: ids may be chosen to collide.
    hasher: RandomState,
}

impl Interner {
    /// The number of a string; None when there are more than can be numbered.
    pub(super) fn number(&mut self, string: &[u8]) -> Option<u32> {
        let Self { bytes, ends, numbers, hasher } = self;
        let hash = hasher.hash_one(string);
        if let Some(&number) = numbers.find(hash, |&number| get(bytes, ends, number) == string) {
            return Some(number);
        }
        let number = u32::try_from(ends.len()).ok().filter(|&number| number < u32::MAX)?;
        bytes.extend_from_slice(string);
        ends.push(bytes.len());
        numbers.insert_unique(hash, number, |&number| hasher.hash_one(get(bytes, ends, number)));
        Some(number)
    }

    /// How many different strings there are.
    pub(super) fn len(&self) -> u32 {
        self.ends.len() as u32
    }

    /// The string of a number.
    pub(super) fn string(&self, number: u32) -> &[u8] {
        get(&self.bytes, &self.ends, number)
    }
}

fn get<'a>(bytes: &'a [u8], ends: &[usize], number: u32) -> &'a [u8] {
    let start = if number == 0 { 0 } else { ends[number as usize - 1] };
    &bytes[start..ends[number as usize]]
}
