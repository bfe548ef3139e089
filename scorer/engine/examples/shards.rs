//! Cuts a linkage into shards, each of which could run on a machine of its own, and merges their pairs into one sorted
//! stream. Neither the encodings nor the pairs have to fit into memory. The data is made up:
//!
//! ```sh
//! cargo run --release --example shards
//! ```

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;

use linkage_engine::pairs::{Merge, PairReader, PairSorter, PairWriter};
use linkage_engine::{EncodingSource, Encodings, Linkage, Meter, Shard, Threshold};

const SHARDS: u32 = 3;
/// For the encodings, and once more for the pairs.
const MEMORY: usize = 1 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let [first, second] = [party(1, 2000)?, party(2, 3000)?];
    let parties: [&dyn EncodingSource; 2] = [&first, &second];
    let folder = tempfile::tempdir()?;

    let mut files = Vec::new();
    for index in 0..SHARDS {
        let mut sorter = PairSorter::new(MEMORY, folder.path());
        let linkage = Linkage::new(&parties, Threshold::new(0.8)?)?.shard(Shard::new(index, SHARDS)?);
        linkage.memory(MEMORY).run(&Meter::default(), &mut sorter)?;

        let path = folder.path().join(format!("{index}.pairs"));
        let mut writer = PairWriter::new(BufWriter::new(File::create(&path)?))?;
        for pair in sorter.finish()? {
            writer.write(&pair?)?;
        }
        println!("shard {index}: {} pairs", writer.pairs());
        writer.finish()?;
        files.push(path);
    }

    let readers = files.iter().map(|path| -> Result<_, Box<dyn Error>> {
        Ok(PairReader::new(path.display().to_string(), File::open(path)?)?)
    });
    let merged = Merge::new(readers.collect::<Result<_, _>>()?)?;
    for pair in merged.take(5) {
        let pair = pair?;
        println!("{:.3}: record {} and record {}", pair.score, pair.record0, pair.record1);
    }
    Ok(())
}

/// Records of 128 bits; both parties know the same people, and each has a few bits of its own.
fn party(seed: u64, records: u64) -> Result<Encodings<'static>, linkage_engine::Error> {
    let words = (0..records).flat_map(|record| {
        let of_party = 1 << (mix(seed * records + record) % 64);
        [mix(2 * record) | of_party, mix(2 * record + 1)]
    });
    Encodings::new(words.collect::<Vec<u64>>(), 16)
}

/// Bits that look random (SplitMix64).
fn mix(number: u64) -> u64 {
    let mut bits = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
