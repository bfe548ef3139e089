use std::path::PathBuf;

use clap::{Args, ValueEnum};
use scorer::engine::{MAX_ENCODING_BYTES, MIN_ENCODING_BYTES, Threshold};
use scorer::plan::ResultFormat;
use scorer::solve::GreedyOptions;

/// Links files on this machine
///
/// FILE holds a LinkageProject and a LinkageRun, as one would apply them to a cluster. Each party's `source` names its
/// files, relative to the folder of FILE: `encodings` a JSON document (.json) as it would be uploaded, or raw encodings
/// of `spec.encoding.bits` each; `blocks` a JSON document of blocks, where the project uses blocking. Permutations are
/// three files, so that --output must be a folder.
#[derive(Args, Clone, Debug)]
#[command(after_help = RUN_EXAMPLES)]
pub struct RunArgs {
    /// The two manifests, as YAML
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    #[command(flatten)]
    pub place: PlaceArgs,
}

/// Finds the records of one file that belong to one person
///
/// Compares every two records of ENCODINGS. A group is what the file holds of one person: two records or more, every
/// two of which are at or above the threshold, unless --merge-threshold asks for less.
#[derive(Args, Clone, Debug)]
#[command(after_help = DEDUPLICATE_EXAMPLES)]
pub struct DeduplicateArgs {
    /// A JSON document (.json) as a party would upload it, or raw encodings of --bits each, back to back
    pub encodings: PathBuf,

    /// The least similarity (Dice) of two records of one person: above 0 and at most 1
    #[arg(long, short, value_parser = threshold)]
    pub threshold: f64,

    /// Bits of one encoding, a multiple of 64: needed for raw encodings, checked for JSON
    #[arg(long, value_parser = encoding_bytes)]
    pub bits: Option<EncodingBytes>,

    /// Compare only records that share a block, by this JSON document; it may be ENCODINGS itself
    #[arg(long, value_name = "FILE")]
    pub blocks: Option<PathBuf>,

    /// Merge two groups once this share of the pairs between them is similar: above 0 and at most 1 [default: 1, all]
    #[arg(long, value_name = "SHARE", value_parser = merge_threshold)]
    pub merge_threshold: Option<f64>,

    /// What to write
    #[arg(long, value_enum, default_value_t = Wanted::Groups)]
    pub result: Wanted,

    #[command(flatten)]
    pub place: PlaceArgs,
}

/// What deduplication hands out.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Wanted {
    /// The records of each person
    Groups,
    /// Every pair of records at or above the threshold, with its score
    SimilarityScores,
}

/// Bytes of one encoding that is supported.
#[derive(Clone, Copy, Debug)]
pub struct EncodingBytes(pub u32);

/// Where results and temporary files go, and what may be used.
#[derive(Args, Clone, Debug)]
pub struct PlaceArgs {
    /// Where to write the result: a folder, or a file name ending in .json, .csv, .ndjson or .parquet
    ///
    /// In a folder, the files are called <NAME>-<RESULT>.<FORMAT>, by the name of the run or of the file of encodings.
    #[arg(long, short, value_name = "PATH", default_value = ".")]
    pub output: PathBuf,

    /// How to write the result: json, csv, ndjson, parquet, or several of them, separated by commas
    ///
    /// [default: by the ending of --output; else spec.formats of the run; else json]
    #[arg(long, value_name = "FORMATS", value_delimiter = ',', value_parser = format)]
    pub format: Vec<ResultFormat>,

    /// Overwrite results that are there already
    #[arg(long, short)]
    pub force: bool,

    /// Also write how similar the records are, for `scorer advise` [JSON]
    #[arg(long, value_name = "FILE")]
    pub scores: Option<PathBuf>,

    /// Folder for temporary files, about as large as the encodings and the pairs [default: the system's]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// Memory to use in all, in bytes
    #[arg(long, env = "MEMORY_LIMIT", value_name = "BYTES", default_value_t = 2 << 30)]
    pub memory_limit: u64,
}

fn threshold(text: &str) -> Result<f64, String> {
    let threshold: f64 = text.parse().map_err(|_| "it is no number".to_owned())?;
    Threshold::new(threshold).map(Threshold::get).map_err(|error| error.to_string())
}

fn merge_threshold(text: &str) -> Result<f64, String> {
    let options = GreedyOptions {
        merge_threshold: text.parse().map_err(|_| "it is no number".to_owned())?,
        ..GreedyOptions::default()
    };
    options.check(1).map(|()| options.merge_threshold).map_err(|error| error.to_string())
}

fn format(text: &str) -> Result<ResultFormat, String> {
    ResultFormat::of_extension(text).ok_or_else(|| "it must be json, csv, ndjson or parquet".to_owned())
}

fn encoding_bytes(text: &str) -> Result<EncodingBytes, String> {
    let (least, most) = (8 * MIN_ENCODING_BYTES as u32, 8 * MAX_ENCODING_BYTES as u32);
    let bits = text.parse().ok().filter(|bits| (least..=most).contains(bits) && bits.is_multiple_of(64));
    let bits: u32 = bits.ok_or_else(|| format!("it must be a multiple of 64 from {least} to {most}"))?;
    Ok(EncodingBytes(bits / 8))
}

const DEDUPLICATE_EXAMPLES: &str = "\
Examples:
  scorer deduplicate patients.json --threshold 0.9              writes patients-groups.json into this folder
  scorer deduplicate patients.clk --bits 1024 --threshold 0.9   reads raw encodings
  scorer deduplicate patients.json --threshold 0.9 --blocks blocks.json --result similarity-scores

  scorer deduplicate patients.json --threshold 0.9 --output groups.csv

Groups are written as {\"groups\": [[[0, 4], [0, 17]], ...]}: in each the records, by 0 for the file and their index.
As CSV or Parquet they are the columns group, party (the file's name), record, and score: the record's highest
similarity to another one of its group.";

const RUN_EXAMPLES: &str = "\
Examples:
  scorer run hospitals.yaml                       writes <run>-groups.json into this folder
  scorer run hospitals.yaml --output result.json  writes the result to that file
  scorer run hospitals.yaml --output result.csv   the same as a table
  scorer run hospitals.yaml --output results/ --format json,parquet --force

A FILE for two parties:
  apiVersion: pprl.dev/v1alpha1
  kind: LinkageProject
  metadata: {name: hospitals}
  spec:
    resultType: Groups
    parties:
      - {name: north, source: {encodings: north.json}}
      - {name: south, source: {encodings: south.json}}
  ---
  apiVersion: pprl.dev/v1alpha1
  kind: LinkageRun
  metadata: {name: hospitals-85}
  spec: {projectRef: {name: hospitals}, threshold: 0.85}";
