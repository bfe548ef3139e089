//! One measurement of the engine, as a line of JSON: `tests/bench/run` makes many and compares them.
//!
//! The engine's own environment variables LINKAGE_PLAN and LINKAGE_KERNEL decide how it goes about it.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser, Subcommand};
use linkage_engine::pairs::{self, Pair};
use linkage_engine::{
    Blocks, BlocksBuilder, EncodingSource, Encodings, FileEncodings, Linkage, Meter, PairSink, Shard,
    Threshold,
};
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt, SeedableRng};
use serde_json::{Value, json};

/// Everything in one pass: more than any machine has.
const NO_LIMIT: usize = 1 << 40;
/// Makes the same random records on every machine.
const SEED: u64 = 1024;

#[derive(Parser)]
#[command(about = "Measure the scoring engine once; prints a line of JSON")]
struct Cli {
    #[command(subcommand)]
    measure: Measure,
    /// What `cargo bench` adds.
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Measure {
    /// Two data sets from files of raw encodings, back to back; or one, with itself. Reading them into memory is not
    /// timed.
    Match {
        #[arg(long)]
        first: PathBuf,
        #[arg(long, required_unless_present = "within")]
        second: Option<PathBuf>,
        /// Records of either data set, from the start of its file.
        #[arg(long)]
        records: u32,
        /// Let the engine read from the files, as a Job does; reading is then timed, too.
        #[arg(long)]
        files: bool,
        #[command(flatten)]
        how: How,
    },
    /// Two data sets of uniformly random encodings, in which there is nothing that could be left out.
    Random {
        /// Records of either data set.
        #[arg(long)]
        records: u32,
        /// Measure nothing, but write the encodings to the files a.clk and b.clk in this folder.
        #[arg(long)]
        save: Option<PathBuf>,
        #[command(flatten)]
        how: How,
    },
    /// Random records of all data sets in blocks of 2 to 5. Making the blocks is not timed.
    Blocks {
        #[command(flatten)]
        shape: Shape,
        /// Let the engine read from files, as a Job does; reading is then timed, too.
        #[arg(long)]
        files: bool,
        #[command(flatten)]
        how: How,
    },
    /// The fastest that one core's registers could compare 1024 bits by AVX-512, and segment counts by AVX2.
    Ceiling,
    /// The kernels that this processor knows, and those that only others know.
    Kernels,
}

/// Which records are in which blocks.
#[derive(Args)]
struct Shape {
    /// Records of both data sets together.
    #[arg(long)]
    records: u32,
    /// Number the records by block; else they come in any order, as real ones do.
    #[arg(long)]
    in_order: bool,
    /// Records of the largest blocks.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..))]
    largest: u32,
    /// Put so many of the records into one block, half of them of either data set.
    #[arg(long, default_value_t = 0)]
    in_one: u32,
    /// In how many blocks each record is: of the same sizes, with others each time.
    #[arg(long, default_value_t = 1)]
    blocks_each: u32,
}

#[derive(Args)]
struct How {
    /// Bytes of one encoding.
    #[arg(long, default_value_t = 128)]
    bytes: usize,
    #[arg(long, default_value_t = 0.8)]
    threshold: f64,
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Compare the first data set with itself, each pair once; there is no second one.
    #[arg(long)]
    within: bool,
    /// Bytes of encodings that the engine may hold in memory; unless said otherwise, it does all in one pass.
    #[arg(long, default_value_t = NO_LIMIT)]
    memory: usize,
    /// Do only the first of so many parts of the work.
    #[arg(long, default_value_t = 1)]
    shards: u32,
}

fn main() -> Result<()> {
    let printed = match Cli::parse().measure {
        Measure::Match { first, second, records, files, how } => {
            let files_of_parties = [Some(first), second.filter(|_| !how.within)].into_iter().flatten();
            let open = |(party, file): (usize, PathBuf)| -> Result<Box<dyn EncodingSource>> {
                Ok(Box::new(open(&file, party, records, files, how.bytes)?))
            };
            how.run(&files_of_parties.enumerate().map(open).collect::<Result<Vec<_>>>()?, None)?
        }
        Measure::Random { records, save: Some(folder), how } => {
            for (party, name) in ["a.clk", "b.clk"].into_iter().enumerate() {
                save(party, records, how.bytes, &folder.join(name))?;
            }
            return Ok(());
        }
        Measure::Random { records, save: None, how } => {
            let party = |party| -> Result<Box<dyn EncodingSource>> {
                Ok(Box::new(random(party, records, how.bytes)?))
            };
            let parties = (0..how.parties()).map(party);
            how.run(&parties.collect::<Result<Vec<_>>>()?, None)?
        }
        Measure::Blocks { shape, files, how } => {
            let (blocks, sizes) = shape.blocks(how.parties())?;
            let folder = tempfile::tempdir()?;
            let party = |(party, &records): (usize, &u32)| -> Result<Box<dyn EncodingSource>> {
                if !files {
                    return Ok(Box::new(random(party, records, how.bytes)?));
                }
                let path = folder.path().join(party.to_string());
                save(party, records, how.bytes, &path)?;
                Ok(Box::new(FileEncodings::open(path, how.bytes, party)?))
            };
            let parties = sizes.iter().enumerate().map(party).collect::<Result<Vec<_>>>()?;
            how.run(&parties, Some(&blocks))?
        }
        Measure::Ceiling => json!({
            "pairs_per_second": ceiling(linkage_engine::register_ceiling),
            "segment_counts_per_second": ceiling(linkage_engine::segment_ceiling),
        }),
        Measure::Kernels => json!({
            "available": linkage_engine::kernel_names(),
            "missing": linkage_engine::missing_kernel_names(),
        }),
    };
    println!("{printed}");
    Ok(())
}

impl How {
    fn parties(&self) -> usize {
        if self.within { 1 } else { 2 }
    }

    fn run(&self, parties: &[Box<dyn EncodingSource>], blocks: Option<&Blocks>) -> Result<Value> {
        let threshold = Threshold::new(self.threshold)?;
        let linkage = match parties {
            [first, second] => Linkage::new(&[&**first, &**second], threshold)?,
            _ => Linkage::within(&*parties[0], threshold)?,
        };
        let mut linkage = linkage.memory(self.memory).shard(Shard::new(0, self.shards)?);
        if let Some(blocks) = blocks {
            linkage = linkage.blocks(blocks)?;
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.threads).build()?;
        let mut found = Found::default();
        let (outcome, seconds, waited) = pool.install(|| {
            let (began, waited_before) = (Instant::now(), waited_seconds());
            let outcome = linkage.run(&Meter::default(), &mut found);
            (outcome, began.elapsed().as_secs_f64(), waited_seconds() - waited_before)
        });
        let outcome = outcome?;
        ensure!(
            outcome.pairs == found.pairs,
            "{} pairs were found, {} handed out",
            outcome.pairs,
            found.pairs
        );
        Ok(json!({
            "seconds": seconds,
            "waited_seconds": waited,
            "comparisons": outcome.comparisons,
            "pairs": outcome.pairs,
            "hash": format!("{:016x}", found.hash),
            "plan": outcome.plan.name(),
            "plan_in_full": outcome.plan.to_string(),
            "kernel": outcome.kernel,
            "peak_rss_bytes": peak_rss_bytes()?,
        }))
    }
}

/// Keeps no pairs, but tells whether two runs have found the same, in whatever order.
#[derive(Default)]
struct Found {
    pairs: u64,
    hash: u64,
}

impl PairSink for Found {
    fn accept(&mut self, pairs: &[Pair]) -> Result<(), pairs::Error> {
        self.pairs += pairs.len() as u64;
        for pair in pairs {
            let records = u64::from(pair.record0) << 32 | u64::from(pair.record1);
            self.hash = self.hash.wrapping_add(mix(mix(records) ^ pair.score.to_bits()));
        }
        Ok(())
    }
}

/// The finishing step of MurmurHash3: every bit depends on every other.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    x = (x ^ (x >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}

/// The first records of a data set.
struct First(Box<dyn EncodingSource>, u32);

impl EncodingSource for First {
    fn records(&self) -> u32 {
        self.1
    }

    fn encoding_bytes(&self) -> usize {
        self.0.encoding_bytes()
    }

    fn read(&self, records: Range<u32>, words: &mut Vec<u64>) -> io::Result<()> {
        self.0.read(records, words)
    }
}

fn open(path: &Path, party: usize, records: u32, files: bool, encoding_bytes: usize) -> Result<First> {
    let all: Box<dyn EncodingSource> = if files {
        Box::new(FileEncodings::open(path, encoding_bytes, party)?)
    } else {
        let mut bytes = Vec::new();
        let file = File::open(path).with_context(|| path.display().to_string())?;
        file.take(u64::from(records) * encoding_bytes as u64).read_to_end(&mut bytes)?;
        Box::new(Encodings::from_bytes(&bytes, encoding_bytes)?)
    };
    ensure!(all.records() >= records, "{} holds only {} records", path.display(), all.records());
    Ok(First(all, records))
}

fn random(party: usize, records: u32, encoding_bytes: usize) -> Result<Encodings<'static>> {
    Ok(Encodings::from_bytes(&random_bytes(party, records, encoding_bytes), encoding_bytes)?)
}

fn save(party: usize, records: u32, encoding_bytes: usize, path: &Path) -> Result<()> {
    std::fs::write(path, random_bytes(party, records, encoding_bytes))
        .with_context(|| path.display().to_string())
}

fn random_bytes(party: usize, records: u32, encoding_bytes: usize) -> Vec<u8> {
    let mut random = ChaCha8Rng::seed_from_u64(SEED + party as u64);
    (0..records as usize * encoding_bytes / 8).flat_map(|_| random.next_u64().to_le_bytes()).collect()
}

impl Shape {
    /// The blocks, each with at least one record of each of one or two data sets; and the records of each data set.
    fn blocks(&self, parties: usize) -> Result<(Blocks, Vec<u32>)> {
        let mut random = ChaCha8Rng::seed_from_u64(SEED);
        // for each record of each data set its block
        let mut block_of = vec![Vec::new(); parties];
        block_of[0].resize(self.in_one as usize / 2, 0);
        let others = block_of[parties - 1].len() + self.in_one.div_ceil(2) as usize;
        block_of[parties - 1].resize(others, 0);
        let (mut block, mut left) = (1u32, self.records.saturating_sub(self.in_one));
        while left >= 2 {
            // no record may be left over
            let size = if left <= self.largest {
                left
            } else {
                random.random_range(2..=self.largest).min(left - 2).max(2)
            };
            let of_first = if parties == 1 { size } else { random.random_range(1..size) };
            block_of[0].extend((0..of_first).map(|_| block));
            block_of[parties - 1].extend((of_first..size).map(|_| block));
            left -= size;
            block += 1;
        }
        let sizes: Vec<u32> = block_of.iter().map(|blocks| blocks.len() as u32).collect();
        let mut builder = BlocksBuilder::new(&sizes);
        for nth in 0..self.blocks_each {
            if nth > 0 || !self.in_order {
                block_of.iter_mut().for_each(|blocks| blocks.shuffle(&mut random));
            }
            for (party, blocks) in block_of.iter().enumerate() {
                for (record, block) in blocks.iter().enumerate() {
                    let id = u64::from(nth) << 32 | u64::from(*block);
                    builder.add(party, record as u32, id.to_be_bytes())?;
                }
            }
        }
        Ok((builder.finish()?, sizes))
    }
}

/// How many a second at best; none on a processor for which no ceiling is known.
fn ceiling(of: fn(u64) -> Option<u64>) -> Option<f64> {
    let measure = |rounds| {
        let began = Instant::now();
        let pairs = of(rounds)?;
        Some((pairs, began.elapsed()))
    };
    let mut rounds = 1000;
    while measure(rounds)?.1 < Duration::from_millis(200) {
        rounds *= 2;
    }
    let speeds =
        (0..5).filter_map(|_| measure(rounds)).map(|(pairs, time)| pairs as f64 / time.as_secs_f64());
    speeds.max_by(f64::total_cmp)
}

/// How long this process's threads have been kept from running by other processes; 0 where the kernel does not tell.
fn waited_seconds() -> f64 {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let waited = threads.filter_map(|thread| {
        let counts = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        counts.split_whitespace().nth(1)?.parse::<u64>().ok()
    });
    waited.sum::<u64>() as f64 / 1e9
}

fn peak_rss_bytes() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1024)
}
