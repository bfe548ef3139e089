//! A party's own objects in the store, or files.

use std::path::Path;

use super::form::is_json_name;
use super::grammar::Shape;
use super::sinks::{Sinks, remove};
use super::{Announced, Expectations, IngestError, binary, document};
use crate::plan::IngestPlan;
use crate::store::{ObjectReader, Store, StoreError};
use crate::summary::Contribution;

/// Takes in the source objects that a plan names.
///
/// # Errors
/// As [`super::json`]; also when a source object is not there.
pub async fn from_store(store: &Store, plan: &IngestPlan) -> Result<Contribution, IngestError> {
    take_in(Origin::Store(store), store, plan).await
}

/// Takes in local files: the plan's source names paths, relative to a folder.
///
/// # Errors
/// As [`from_store`].
pub async fn from_files(
    folder: &Path,
    store: &Store,
    plan: &IngestPlan,
) -> Result<Contribution, IngestError> {
    take_in(Origin::Folder(folder), store, plan).await
}

/// Where sources are.
#[derive(Clone, Copy)]
enum Origin<'a> {
    Store(&'a Store),
    Folder(&'a Path),
}

impl Origin<'_> {
    async fn open(self, name: &str) -> Result<ObjectReader, IngestError> {
        match self {
            Self::Store(store) => match store.get(name).await {
                Ok((_, reader)) => Ok(reader),
                Err(StoreError::NotFound { key }) => Err(IngestError::SourceNotFound(format!(
                    "the source object \"{key}\" is not in the store; check the key, or put the object there"
                ))),
                Err(error) => Err(error.into()),
            },
            Self::Folder(folder) => {
                let path = folder.join(name);
                ObjectReader::of_file(&path).await.map_err(|error| {
                    IngestError::SourceNotFound(format!(
                        "the file {} cannot be read: {error}; paths are relative to the folder of the manifests",
                        path.display()
                    ))
                })
            }
        }
    }
}

async fn take_in(origin: Origin<'_>, store: &Store, plan: &IngestPlan) -> Result<Contribution, IngestError> {
    let source = &plan.source;
    let expected = Expectations {
        blocking: plan.blocking,
        encoding_bytes: source.encoding_bytes,
        limits: plan.limits,
        memory: None,
    };
    if source.blocks.is_some() && !plan.blocking {
        return Err(IngestError::BlocksUnexpected);
    }
    let mut contribution = encodings(origin, store, plan, &expected).await?;
    if let Some(name) = &source.blocks {
        match blocks(origin, store, plan, name, &contribution, &expected).await {
            Ok(blocks) => {
                contribution.blocks = blocks.blocks;
                contribution.blocks_blake3 = blocks.blocks_blake3;
                contribution.records_without_block = blocks.records_without_block;
            }
            Err(error) => {
                remove(store, Some(&contribution.encodings)).await;
                return Err(error);
            }
        }
    }
    Ok(contribution)
}

async fn encodings(
    origin: Origin<'_>,
    store: &Store,
    plan: &IngestPlan,
    expected: &Expectations,
) -> Result<Contribution, IngestError> {
    let source = &plan.source;
    let is_json = is_json_name(&source.encodings)?;
    let body = origin.open(&source.encodings).await?;
    let with_blocks = plan.blocking && source.blocks.is_none();
    if is_json {
        let shape = match source.blocks {
            Some(_) => Shape::EncodingsOnly { padded_to: None },
            None => Shape::Upload,
        };
        let sinks = Sinks::open(store, &plan.output, true, with_blocks).await?;
        return document(body, shape, expected, sinks).await;
    }
    if with_blocks {
        return Err(IngestError::BlocksMissing);
    }
    let encoding_bytes = source.encoding_bytes.ok_or_else(|| {
        IngestError::EncodingSize(format!(
            "\"{}\" holds raw encodings, whose size must be known: give spec.encoding.bits of the project",
            source.encodings
        ))
    })?;
    let announced = Announced { records: None, encoding_bytes };
    let sinks = Sinks::open(store, &plan.output, true, false).await?;
    binary::take_in(body, announced, expected, sinks).await
}

async fn blocks(
    origin: Origin<'_>,
    store: &Store,
    plan: &IngestPlan,
    name: &str,
    contribution: &Contribution,
    expected: &Expectations,
) -> Result<Contribution, IngestError> {
    let body = origin.open(name).await?;
    let records = u32::try_from(contribution.records).unwrap_or(u32::MAX);
    let sinks = Sinks::open(store, &plan.output, false, true).await?;
    document(body, Shape::BlocksOnly { records, of_every_record: false }, expected, sinks).await
}
