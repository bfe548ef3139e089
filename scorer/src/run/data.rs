//! The parties' files, taken in as the Jobs take in objects.

use anyhow::{Error, Result, anyhow, bail};

use super::request::{PartyFiles, Request};
use scorer::ingest::{self, IngestError};
use scorer::plan::{FORMAT_VERSION, IngestPlan, Limits, PartyInput};
use scorer::store::Store;

/// The parties' data in the store.
pub(super) struct TakenIn {
    pub inputs: Vec<PartyInput>,
    /// How many records of each party are in no block; empty without blocking.
    pub without_block: Vec<u64>,
    /// What of the parties' data was not used.
    pub warnings: Vec<String>,
}

/// Takes in all parties' files.
pub(super) async fn take_in(request: &Request, store: &Store) -> Result<TakenIn> {
    let (mut inputs, mut without_block, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
    for (dataset, party) in request.parties.iter().enumerate() {
        let contribution = ingest::from_files(&request.folder, store, &ingest_plan(request, party, dataset))
            .await
            .map_err(|error| explained(request, party, &error))?;
        without_block.extend(contribution.records_without_block);
        let warning = contribution.warning;
        warnings.extend(warning.map(|warning| format!("{}: {warning}", party.source.encodings)));
        inputs.push(PartyInput {
            party: party.name.clone(),
            encodings: contribution.encodings,
            blocks: contribution.blocks,
            records: contribution.records,
            encoding_bytes: contribution.encoding_bytes,
            blake3: contribution.blake3,
            blocks_blake3: contribution.blocks_blake3,
        });
    }
    check_sizes(&inputs)?;
    Ok(TakenIn { inputs, without_block, warnings })
}

/// What was wrong, and where. A single party goes by its file, and there is no project to speak of.
fn explained(request: &Request, party: &PartyFiles, error: &IngestError) -> Error {
    let file = &party.source.encodings;
    match error {
        _ if request.parties.len() > 1 => anyhow!("party {} ({file}): {error}", party.name),
        IngestError::BlocksUnexpected => {
            anyhow!("{file} holds blocks, too; to compare only records that share one, give --blocks {file}")
        }
        IngestError::BlocksMissing => {
            anyhow!("there are no blocks in {file}; give the file that holds them as --blocks")
        }
        _ => anyhow!("{file}: {error}"),
    }
}

fn ingest_plan(request: &Request, party: &PartyFiles, dataset: usize) -> IngestPlan {
    IngestPlan {
        version: FORMAT_VERSION,
        project: request.name.clone(),
        party: party.name.clone(),
        source: party.source.clone(),
        blocking: request.blocking,
        output: format!("projects/local/parties/{dataset}/local/"),
        announced_max_bytes: None,
        limits: Limits::default(),
    }
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
