use std::path::PathBuf;

use clap::Args;

/// Links files on this machine
///
/// FILE holds a LinkageProject and a LinkageRun, as one would apply them to a cluster. Each party's `source` names its
/// files, relative to the folder of FILE: `encodings` a JSON document (.json) as it would be uploaded, or raw encodings
/// of `spec.encoding.bits` each; `blocks` a JSON document of blocks, where the project uses blocking.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct RunArgs {
    /// The two manifests, as YAML
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Where to write the result: a folder, or a file name ending in .json
    ///
    /// In a folder, the file is called <RUN>-<RESULT>.json. Permutations are three files, so they need a folder.
    #[arg(long, short, value_name = "PATH", default_value = ".")]
    pub output: PathBuf,

    /// Overwrite results that are there already
    #[arg(long, short)]
    pub force: bool,

    /// Folder for temporary files, about as large as the encodings and the pairs [default: the system's]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// Memory to use in all, in bytes
    #[arg(long, env = "MEMORY_LIMIT", value_name = "BYTES", default_value_t = 2 << 30)]
    pub memory_limit: u64,
}

const EXAMPLES: &str = "\
Examples:
  scorer run hospitals.yaml                       writes <run>-groups.json into this folder
  scorer run hospitals.yaml --output result.json  writes the result to that file
  scorer run hospitals.yaml --output results/ --force

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
