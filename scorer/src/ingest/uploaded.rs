//! Objects that a party has put into the store by itself, and then announces.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};

use super::form::is_json_name;
use super::grammar::Shape;
use super::sinks::{Sinks, remove};
use super::{Announced, Expectations, IngestError, binary, document};
use crate::store::{ObjectInfo, ObjectReader, Store, StoreError};
use crate::summary::Contribution;

/// Most bytes of an encoding that may be announced; whether they can be linked is another matter.
const MAX_HASH_SIZE: u32 = 1024;

/// What a party has put into the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadedObjects {
    /// Key of the encodings, an object with the user metadata `hash-count` and `hash-size`. A name ending in `.json`
    /// holds `{"clks": […]}`, any other raw encodings.
    pub encodings: String,
    /// Key of the blocks: `{"blocks": {"0": ["a"], …}}`, with an entry for each record.
    pub blocks: Option<String>,
    /// Most bytes of either.
    pub max_bytes: u64,
}

/// Takes in what a party has put into the store. The objects themselves stay.
///
/// # Errors
/// As [`super::json`]; also when an object is not there, or holds other data than its metadata says.
pub async fn uploaded(
    objects: &UploadedObjects,
    expected: &Expectations,
    store: &Store,
    prefix: &str,
) -> Result<Contribution, IngestError> {
    match &objects.blocks {
        Some(_) if !expected.blocking => return Err(IngestError::BlocksUnexpected),
        None if expected.blocking => return Err(IngestError::BlocksMissing),
        _ => {}
    }
    let mut contribution = encodings(objects, expected, store, prefix).await?;
    if let Some(key) = &objects.blocks {
        match blocks(objects, key, &contribution, expected, store, prefix).await {
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
    objects: &UploadedObjects,
    expected: &Expectations,
    store: &Store,
    prefix: &str,
) -> Result<Contribution, IngestError> {
    let is_json = is_json_name(&objects.encodings)?;
    let (info, body) = open(store, &objects.encodings, objects.max_bytes).await?;
    let (records, announced) = announced(&info.metadata)?;
    let sinks = Sinks::open(store, prefix, true, false).await?;
    if !is_json {
        let length = u64::from(announced.encoding_bytes) * records;
        return binary::take_in(made_up(body, info.bytes, length, announced), announced, expected, sinks)
            .await;
    }
    let shape = Shape::EncodingsOnly { padded_to: Some(announced.encoding_bytes) };
    let expected = Expectations { encoding_bytes: Some(announced.encoding_bytes), ..*expected };
    let contribution = document(body, shape, &expected, sinks).await?;
    if contribution.records != records {
        remove(store, Some(&contribution.encodings)).await;
        return Err(IngestError::Length(format!(
            "there are {} records in the object, but its metadata hash-count is {records}; upload it again",
            contribution.records
        )));
    }
    Ok(contribution)
}

async fn blocks(
    objects: &UploadedObjects,
    key: &str,
    contribution: &Contribution,
    expected: &Expectations,
    store: &Store,
    prefix: &str,
) -> Result<Contribution, IngestError> {
    let (_, body) = open(store, key, objects.max_bytes).await?;
    let records = u32::try_from(contribution.records).unwrap_or(u32::MAX);
    let sinks = Sinks::open(store, prefix, false, true).await?;
    document(body, Shape::BlocksOnly { records, of_every_record: true }, expected, sinks).await
}

async fn open(store: &Store, key: &str, max_bytes: u64) -> Result<(ObjectInfo, ObjectReader), IngestError> {
    let (info, body) = store.get(key).await.map_err(|error| match error {
        StoreError::NotFound { key } => {
            IngestError::SourceNotFound(format!("the object \"{key}\" is not in the store; upload it first"))
        }
        error => error.into(),
    })?;
    if info.bytes > max_bytes {
        return Err(IngestError::TooLarge(format!(
            "the object \"{key}\" has {} bytes; at most {max_bytes} are allowed",
            info.bytes
        )));
    }
    Ok((info, body))
}

/// What the object's metadata says: how many records, and what of them.
fn announced(metadata: &BTreeMap<String, String>) -> Result<(u64, Announced), IngestError> {
    let number = |name: &str, max: u32| {
        let text = metadata.get(name).map(|text| text.trim()).unwrap_or_default();
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number| digits && (1..=max).contains(number)).ok_or_else(|| {
            IngestError::Malformed(format!(
                "the object needs the user metadata {name}, a whole number from 1 to {max}; upload it again with that"
            ))
        })
    };
    let records = u64::from(number("hash-count", u32::MAX)?);
    let encoding_bytes = number("hash-size", MAX_HASH_SIZE)?;
    Ok((records, Announced { records: Some(records), encoding_bytes }))
}

/// The object's bytes, made up to the length announced as the Anonlink Entity Service does: bytes too many are left
/// out, and the last encoding is filled up with zeros when its end is missing.
fn made_up(
    body: ObjectReader,
    has: u64,
    length: u64,
    announced: Announced,
) -> impl Stream<Item = Result<Bytes, StoreError>> + Send {
    let missing = length.saturating_sub(has);
    let zeros = if missing < u64::from(announced.encoding_bytes) { missing } else { 0 };
    let mut left = length;
    let body = body.map_ok(move |mut chunk| {
        chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        left -= chunk.len() as u64;
        chunk
    });
    let zeros = Bytes::from(vec![0; usize::try_from(zeros).unwrap_or(0)]);
    body.chain(stream::once(async { Ok(zeros) }))
}
