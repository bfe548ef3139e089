//! How fast the pairs of many shards are merged and solved, and pairs to try it on.
//!
//! ```text
//! solve make FOLDER PAIRS RECORDS SHARDS [PARTIES]   write the scored shards of a run into a store in this folder
//! solve run FOLDER RECORDS [PARTIES]                 merge and solve them; print a line of JSON
//! solve merge FOLDER FILE                            merge them into one file
//! ```
//!
//! RECORDS is the number of each party. `tests/bench-solve/run` calls it.

#![allow(clippy::unwrap_used, reason = "it is no part of the product")]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use rand::rngs::ChaCha20Rng;
use rand::{RngExt, SeedableRng};
use scorer::pairs::{self, Merge, Pair, PairReader, PairSorter, PairWriter};
use scorer::plan::FORMAT_VERSION;
use scorer::solve::GreedySolver;
use scorer::store::{BlockingWriter, Store, Written};
use scorer::summary::ShardManifest;

/// Pairs that are sorted in memory, before they are spilled.
const SORTED_BYTES: usize = 1 << 30;
/// Where a run's pairs are in a store.
const PAIRS: &str = "runs/bench/pairs";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let number =
        |at: usize, otherwise: u32| arguments.get(at).map_or(otherwise, |text| text.parse().unwrap());
    let folder = arguments.get(1).map(PathBuf::from).unwrap_or_default();
    match arguments.first().map(String::as_str) {
        Some("make") => {
            make(&folder, number(2, 0), &Data { records: number(3, 0), parties: number(5, 2) }, number(4, 1))
        }
        Some("run") => run(&folder, &Data { records: number(2, 0), parties: number(3, 2) }),
        Some("merge") => {
            let file = File::create(arguments.get(2).unwrap()).unwrap();
            write(file, merged(&folder));
        }
        _ => println!("The head of {} tells what can be asked for.", file!()),
    }
}

/// Parties of so many records each.
struct Data {
    records: u32,
    parties: u32,
}

/// Every shard has first records of its own, as those of a run do.
fn make(store: &Path, pairs: u32, data: &Data, shards: u32) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _entered = runtime.enter();
    let objects = Store::in_directory(store).unwrap();
    let mut random = ChaCha20Rng::from_seed([7; 32]);
    let share = |shard| (u64::from(data.records) * u64::from(shard) / u64::from(shards)) as u32;
    for shard in 0..shards {
        let (first, own) = (share(shard), share(shard + 1) - share(shard));
        let mut sorter = PairSorter::new(SORTED_BYTES, store);
        for number in 0..pairs / shards {
            let pair = data.pair(first + number % own, number / own, score(&mut random));
            sorter.push(pair).unwrap();
        }
        let writer = runtime.block_on(objects.writer(&format!("{PAIRS}/{shard}.pairs"))).unwrap();
        let (pairs, writer) = write(BlockingWriter::new(writer), sorter.finish().unwrap());
        let Written { bytes, blake3 } = writer.finish().unwrap();
        let comparisons = u64::from(own) * u64::from(data.records);
        let (version, work) = (FORMAT_VERSION, String::new());
        let manifest =
            ShardManifest { version, work, shard, shards, comparisons, pairs, bytes, blake3, seconds: 0.0 };
        let manifest = serde_json::to_vec(&manifest).unwrap();
        std::fs::write(store.join(format!("{PAIRS}/{shard}.json")), manifest).unwrap();
    }
}

fn write<W: Write>(out: W, pairs: impl Iterator<Item = Result<Pair, pairs::Error>>) -> (u64, W) {
    let mut writer = PairWriter::new(BufWriter::with_capacity(1 << 20, out)).unwrap();
    pairs.for_each(|pair| writer.write(&pair.unwrap()).unwrap());
    (writer.pairs(), writer.finish().unwrap().into_inner().ok().unwrap())
}

fn merged(store: &Path) -> Merge<PairReader<File>> {
    let files =
        (0..).map(|shard| store.join(format!("{PAIRS}/{shard}.pairs"))).take_while(|path| path.exists());
    let open = |path: PathBuf| PairReader::new(path.display().to_string(), File::open(path).unwrap());
    Merge::new(files.map(open).collect::<Result<_, _>>().unwrap()).unwrap()
}

impl Data {
    /// No two of a record's are the same: steps of a prime go round all records of the other party.
    fn pair(&self, record0: u32, number: u32, score: f64) -> Pair {
        const STEP: u64 = 1_000_003;
        let between: Vec<(u32, u32)> = (0..self.parties)
            .flat_map(|one| (one + 1..self.parties).map(move |other| (one, other)))
            .collect();
        let (dataset0, dataset1) = between[number as usize % between.len()];
        let record1 = (u64::from(record0) * 7 + u64::from(number) * STEP) % u64::from(self.records);
        Pair { score, dataset0, dataset1, record0, record1: record1 as u32 }
    }
}

/// The Dice similarity of two encodings of names and dates: some 400 of 1024 bits are set.
fn score(random: &mut ChaCha20Rng) -> f64 {
    let (a, b) = (random.random_range(350..450u32), random.random_range(350..450u32));
    let common = random.random_range((a + b) * 2 / 5..=a.min(b).max((a + b) * 2 / 5));
    f64::from(2 * common) / f64::from(a + b)
}

fn run(store: &Path, data: &Data) {
    let start = Instant::now();
    let mut solver = GreedySolver::new(&vec![u64::from(data.records); data.parties as usize]).unwrap();
    let mut merge = merged(store);
    while let Some(run) = merge.next_run().unwrap() {
        solver.add_all(run).unwrap();
    }
    let pairs = solver.pairs();
    let groups = solver.finish().len();
    println!(
        "{}",
        serde_json::json!({"pairs": pairs, "groups": groups, "seconds": start.elapsed().as_secs_f64()})
    );
}
