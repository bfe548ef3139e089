//! The parties' files, taken in as the Jobs take in objects.

use std::path::Path;

use anyhow::{Result, anyhow, bail};
use crds::{Blocking, LinkageProject, Party};

use scorer::ingest;
use scorer::plan::{FORMAT_VERSION, IngestPlan, Limits, PartyInput, Source};
use scorer::store::Store;

pub(super) fn uses_blocking(project: &LinkageProject) -> bool {
    project.spec.blocking == Blocking::ByBlockId
}

/// Takes in all parties' files, which lie in a folder.
pub(super) async fn take_in(
    project: &LinkageProject,
    folder: &Path,
    store: &Store,
) -> Result<Vec<PartyInput>> {
    let mut inputs: Vec<PartyInput> = Vec::new();
    for (dataset, party) in project.spec.parties.iter().enumerate() {
        let plan = ingest_plan(project, party, dataset)?;
        let contribution = ingest::from_files(folder, store, &plan)
            .await
            .map_err(|error| anyhow!("party {} ({}): {error}", party.name, plan.source.encodings))?;
        inputs.push(PartyInput {
            party: party.name.clone(),
            encodings: contribution.encodings,
            blocks: contribution.blocks,
            records: contribution.records,
            encoding_bytes: contribution.encoding_bytes,
            sha256: contribution.sha256,
        });
    }
    check_sizes(&inputs)?;
    Ok(inputs)
}

fn ingest_plan(project: &LinkageProject, party: &Party, dataset: usize) -> Result<IngestPlan> {
    let Some(source) = &party.source else {
        bail!(
            "party {} has no source; give the file of its encodings as spec.parties[{dataset}].source.encodings, \
             relative to the folder of the manifests",
            party.name
        );
    };
    let bits = project.spec.encoding.as_ref().and_then(|encoding| encoding.bits);
    Ok(IngestPlan {
        version: FORMAT_VERSION,
        project: project.metadata.name.clone().unwrap_or_default(),
        party: party.name.clone(),
        source: Source {
            encodings: source.encodings.clone(),
            blocks: source.blocks.clone(),
            encoding_bytes: bits.and_then(|bits| u32::try_from(bits / 8).ok()),
        },
        blocking: uses_blocking(project),
        output: format!("projects/local/parties/{dataset}/local/"),
        limits: Limits::default(),
    })
}

fn check_sizes(inputs: &[PartyInput]) -> Result<()> {
    let Some(first) = inputs.first() else { return Ok(()) };
    match inputs.iter().find(|input| input.encoding_bytes != first.encoding_bytes) {
        None => Ok(()),
        Some(other) => bail!(
            "the encodings of party {} have {} bits, those of party {} have {}; all parties must encode by one schema",
            other.party,
            other.encoding_bytes * 8,
            first.party,
            first.encoding_bytes * 8
        ),
    }
}
