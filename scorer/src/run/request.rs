//! What to link, as manifests or the command line ask for it.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use crds::{AdditionalResult, Blocking, LinkageProject, LinkageRun, Party, SolverAlgorithm, manifests};

use super::args::{DeduplicateArgs, EncodingBytes, Wanted};
use scorer::ingest::{Form, is_json_name};
use scorer::paillier::PublicKey;
use scorer::plan::{ResultFormat, ResultType, Source};
use scorer::solve::Solver;

/// One linkage of local files.
pub(super) struct Request {
    /// For the names of the results.
    pub name: String,
    /// What the sources' paths are relative to.
    pub folder: PathBuf,
    /// A single one is compared with itself.
    pub parties: Vec<PartyFiles>,
    pub blocking: bool,
    pub result_type: ResultType,
    /// How the run asks for its result to be written; empty if it does not say.
    pub formats: BTreeSet<ResultFormat>,
    /// Whether similarity scores are to be written beside groups.
    pub with_similarity_scores: bool,
    pub threshold: f64,
    pub shards: u32,
    /// The modulus of the key under which the mask is encrypted.
    pub mask_key: Option<String>,
    pub solver: Option<Solver>,
}

/// One party's name and files.
pub(super) struct PartyFiles {
    pub name: String,
    pub source: Source,
}

impl Request {
    /// What a project and a run in one file ask for.
    pub fn of_manifests(file: &Path) -> Result<Self> {
        let text = manifests_of(file).with_context(|| format!("{} cannot be read", file.display()))?;
        let (project, run) =
            manifests::read(&text).with_context(|| format!("{} cannot be used", file.display()))?;
        Self::of_resources(&project, &run, file.parent().unwrap_or(Path::new(".")))
    }

    fn of_resources(project: &LinkageProject, run: &LinkageRun, folder: &Path) -> Result<Self> {
        if let Some(earlier) = &run.spec.from_run {
            bail!(
                "spec.fromRun asks for the pairs of run {}, which are kept in a cluster's store only; leave it out, \
                 and the records are compared here",
                earlier.name
            );
        }
        let additional = AdditionalResult::refusal(&project.spec, &run.spec);
        if let Some(why) = crds::Solver::refusal(&project.spec, &run.spec).or(additional) {
            bail!("{why}");
        }
        let solver = run.spec.solver.as_ref().map(solver);
        solver.map_or(Ok(()), |solver| solver.check(project.spec.parties.len()))?;
        let mask_key = project.spec.paillier_public_key.as_ref();
        if let Some(key) = mask_key {
            PublicKey::new(&key.kty, &key.alg, &key.modulus)?;
        }
        let bits = project.spec.encoding.as_ref().and_then(|encoding| encoding.bits);
        let encoding_bytes = bits.and_then(|bits| u32::try_from(bits / 8).ok());
        let parties = project.spec.parties.iter().enumerate();
        Ok(Self {
            name: run.metadata.name.clone().unwrap_or_default(),
            folder: folder.to_owned(),
            parties: parties
                .map(|(dataset, party)| party_files(dataset, party, encoding_bytes))
                .collect::<Result<_>>()?,
            blocking: project.spec.blocking == Blocking::ByBlockId,
            result_type: match project.spec.result_type {
                crds::ResultType::Groups => ResultType::Groups,
                crds::ResultType::SimilarityScores => ResultType::SimilarityScores,
                crds::ResultType::Permutations => ResultType::Permutations,
            },
            formats: run.spec.formats.iter().flatten().copied().collect(),
            with_similarity_scores: run.spec.additional_results.contains(&AdditionalResult::SimilarityScores),
            threshold: run.spec.threshold,
            shards: run.spec.shards.and_then(|shards| u32::try_from(shards).ok()).unwrap_or(1).max(1),
            mask_key: mask_key.map(|key| key.modulus.clone()),
            solver,
        })
    }

    /// The deduplication that the command line asks for.
    pub fn of_arguments(args: &DeduplicateArgs) -> Result<Self> {
        let encodings = &args.encodings;
        for file in [Some(encodings), args.blocks.as_ref()].into_iter().flatten() {
            File::open(file).with_context(|| format!("{} cannot be read", file.display()))?;
        }
        let is_json = is_json_name(&text(encodings)?)
            .with_context(|| format!("{} cannot be used", encodings.display()))?;
        if !is_json && args.bits.is_none() {
            bail!("{} holds raw encodings, whose size must be known: give --bits", encodings.display());
        }
        if args.merge_threshold.is_some() && matches!(args.result, Wanted::SimilarityScores) {
            bail!(
                "--merge-threshold tells how groups are formed, of which similarity scores have none; leave it out"
            );
        }
        // blocks in the same document as the encodings are read with them
        let blocks = args.blocks.as_ref().filter(|blocks| *blocks != encodings);
        let source = Source {
            encodings: text(encodings)?,
            blocks: blocks.map(|blocks| text(blocks)).transpose()?,
            encoding_bytes: args.bits.map(|EncodingBytes(bytes)| bytes),
        };
        let name = encodings.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self {
            name: name.clone(),
            folder: PathBuf::new(),
            parties: vec![PartyFiles { name, source }],
            blocking: args.blocks.is_some(),
            result_type: match args.result {
                Wanted::Groups => ResultType::Groups,
                Wanted::SimilarityScores => ResultType::SimilarityScores,
            },
            formats: BTreeSet::new(),
            with_similarity_scores: false,
            threshold: args.threshold,
            shards: 1,
            mask_key: None,
            solver: args.merge_threshold.map(|share| Solver::greedy(Some(share), None)),
        })
    }
}

fn party_files(dataset: usize, party: &Party, encoding_bytes: Option<u32>) -> Result<PartyFiles> {
    let Some(source) = &party.source else {
        bail!(
            "party {} has no source; give the file of its encodings as spec.parties[{dataset}].source.encodings, \
             relative to the folder of the manifests",
            party.name
        );
    };
    let source =
        Source { encodings: source.encodings.clone(), blocks: source.blocks.clone(), encoding_bytes };
    Ok(PartyFiles { name: party.name.clone(), source })
}

fn solver(solver: &crds::Solver) -> Solver {
    match solver.algorithm {
        SolverAlgorithm::Greedy => Solver::greedy(solver.merge_threshold, solver.one_to_one),
        SolverAlgorithm::Optimal => {
            Solver::optimal(solver.max_component_records.and_then(|most| u32::try_from(most).ok()))
        }
    }
}

/// The text of a file of manifests, without the byte order mark that some editors begin it with.
fn manifests_of(file: &Path) -> Result<String> {
    let bytes = std::fs::read(file)?;
    if let Some(form @ (Form::Utf16 | Form::Utf32)) = Form::of_document(&bytes) {
        bail!("{form}");
    }
    let text = String::from_utf8(bytes).context("it is no text in UTF-8")?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn text(path: &Path) -> Result<String> {
    let text = path.to_str().with_context(|| format!("the name {} is no UTF-8", path.display()))?;
    Ok(text.to_owned())
}
