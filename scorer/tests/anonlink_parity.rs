//! The engine, the pairs files and the solver give what anonlink (the PyPI package) gives, to the bit; and the optimal
//! solver what SciPy's gives.
//!
//! `anonlink_parity.py` makes the inputs out of a seed and compares; what is compared with what is told there. Set
//! `PARITY_SEED` to try other inputs.

#![allow(clippy::unwrap_used)] // All of it is a test.

use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read};
use std::path::{Path, PathBuf};
use std::process::Command;

use scorer::engine::{
    Blocks, BlocksBuilder, EncodingSource, FileEncodings, Linkage, Meter, Shard, Threshold,
};
use scorer::pairs::{Merge, Pair, PairReader, PairSorter, PairWriter};
use scorer::result::write_groups;
use scorer::solve::{self, GreedyOptions, GreedySolver, OptimalOptions, solve_optimally};
use serde::Deserialize;

const DEFAULT_SEED: &str = "20240229";

#[derive(Deserialize)]
struct LinkageCase {
    records: Vec<u32>,
    encoding_bytes: usize,
    threshold_bits: u64,
    /// For each data set, the block ids of each record.
    blocks: Option<Vec<Vec<Vec<String>>>>,
    shards: u32,
}

#[derive(Deserialize)]
struct SolvingCase {
    records: Vec<u64>,
    merge_threshold_bits: Vec<u64>,
}

#[test]
fn gives_what_anonlink_gives() {
    let python = python_with_anonlink();
    let directory = tempfile::tempdir().unwrap();
    let seed = std::env::var("PARITY_SEED").unwrap_or_else(|_| DEFAULT_SEED.into());
    run_script(&python, &["generate", path(directory.path()), &seed]);
    for case in fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path()) {
        if case.file_name().unwrap().to_string_lossy().starts_with("linkage-") {
            link(&case);
        } else {
            solve_dumped(&case);
        }
    }
    run_script(&python, &["check", path(directory.path())]);
}

/// The interpreter that `LINKAGE_PYTHON` names, else `python3`; it must have anonlink.
fn python_with_anonlink() -> PathBuf {
    let python = std::env::var_os("LINKAGE_PYTHON").map_or_else(|| "python3".into(), PathBuf::from);
    let import = Command::new(&python).args(["-c", "import anonlink.solving"]).output();
    let trouble = match import {
        Ok(output) if output.status.success() => return python,
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    panic!(
        "{} cannot import anonlink. Run tests/setup/install, and set LINKAGE_PYTHON to the interpreter that it \
         names.\n{trouble}",
        python.display()
    );
}

fn run_script(python: &Path, arguments: &[&str]) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/anonlink_parity.py");
    let output = Command::new(python).arg(script).args(arguments).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{out}");
    assert!(output.status.success(), "{} {arguments:?}: {out}{err}", python.display());
}

/// Links the data sets of a case shard by shard, merges, solves.
fn link(directory: &Path) {
    let case: LinkageCase = read_case(directory);
    let open = |dataset: usize| {
        let file = directory.join(format!("{dataset}.encodings"));
        FileEncodings::open(file, case.encoding_bytes, dataset).unwrap()
    };
    let datasets: Vec<FileEncodings> = (0..case.records.len()).map(open).collect();
    let sources: Vec<&dyn EncodingSource> = datasets.iter().map(|set| set as &dyn EncodingSource).collect();
    let blocks = case.blocks.as_ref().map(|ids| build_blocks(&case.records, ids));
    for shard in 0..case.shards {
        let threshold = Threshold::new(f64::from_bits(case.threshold_bits)).unwrap();
        let mut linkage = match sources[..] {
            [alone] => Linkage::within(alone, threshold).unwrap(),
            _ => Linkage::new(&sources, threshold).unwrap(),
        };
        if let Some(blocks) = &blocks {
            linkage = linkage.blocks(blocks).unwrap();
        }
        // Little memory, so that everything is read, and spilled, in several parts.
        let mut sorter = PairSorter::new(10_000, directory);
        let linkage = linkage.shard(Shard::new(shard, case.shards).unwrap()).memory(40 * case.encoding_bytes);
        linkage.run(&Meter::default(), &mut sorter).unwrap();
        write_pairs(&shard_file(directory, shard), sorter.finish().unwrap().map(Result::unwrap));
    }
    let shards = (0..case.shards).map(|shard| open_pairs(&shard_file(directory, shard)));
    let merged: Vec<Pair> = Merge::new(shards.collect()).unwrap().map(Result::unwrap).collect();
    write_pairs(&directory.join("merged.pairs"), merged.iter().copied());
    solve(directory, &case.records.iter().map(|&count| count.into()).collect::<Vec<_>>(), &merged);
}

/// Reads pairs that anonlink has dumped, writes them again, and solves in every way.
fn solve_dumped(directory: &Path) {
    let case: SolvingCase = read_case(directory);
    let pairs: Vec<Pair> = open_pairs(&directory.join("candidates.pairs")).map(Result::unwrap).collect();
    write_pairs(&directory.join("copy.pairs"), pairs.iter().copied());
    solve(directory, &case.records, &pairs);
    for (number, &bits) in case.merge_threshold_bits.iter().enumerate() {
        let merge_threshold = f64::from_bits(bits);
        for one_to_one in [true, false] {
            // a single party's groups are never one-to-one
            let asked = (case.records.len() > 1).then_some(one_to_one);
            let options = GreedyOptions { merge_threshold, one_to_one: asked };
            let file = directory.join(format!("groups-{number}-{one_to_one}.json"));
            solve_with(options, &file, &case.records, &pairs);
        }
    }
}

fn solve(directory: &Path, records: &[u64], pairs: &[Pair]) {
    solve_with(GreedyOptions::default(), &directory.join("groups.json"), records, pairs);
    if records.len() == 2 {
        let read = || Ok::<_, solve::Error>(pairs.iter().copied().map(Ok));
        let options = OptimalOptions { max_component_records: OptimalOptions::MOST_RECORDS };
        let (groups, _) = solve_optimally(records, options, 1 << 30, read).unwrap();
        write_groups(BufWriter::new(File::create(directory.join("optimal.json")).unwrap()), &groups).unwrap();
    }
}

fn solve_with(options: GreedyOptions, file: &Path, records: &[u64], pairs: &[Pair]) {
    let mut solver = GreedySolver::with_options(records, options).unwrap();
    solver.add_all(pairs).unwrap();
    write_groups(BufWriter::new(File::create(file).unwrap()), &solver.finish()).unwrap();
}

fn build_blocks(records: &[u32], ids: &[Vec<Vec<String>>]) -> Blocks {
    let mut builder = BlocksBuilder::new(records);
    for (dataset, records) in ids.iter().enumerate() {
        for (record, ids) in records.iter().enumerate() {
            ids.iter().for_each(|id| builder.add(dataset, record as u32, id).unwrap());
        }
    }
    builder.finish().unwrap()
}

fn open_pairs(file: &Path) -> PairReader<impl Read + use<>> {
    PairReader::new(file.display().to_string(), BufReader::new(File::open(file).unwrap())).unwrap()
}

fn write_pairs(file: &Path, pairs: impl Iterator<Item = Pair>) {
    let mut writer = PairWriter::new(BufWriter::new(File::create(file).unwrap())).unwrap();
    pairs.for_each(|pair| writer.write(&pair).unwrap());
    writer.finish().unwrap();
}

fn shard_file(directory: &Path, shard: u32) -> PathBuf {
    directory.join(format!("shard-{shard}.pairs"))
}

fn read_case<T: for<'a> Deserialize<'a>>(directory: &Path) -> T {
    serde_json::from_slice(&fs::read(directory.join("case.json")).unwrap()).unwrap()
}

fn path(directory: &Path) -> &str {
    directory.to_str().unwrap()
}
