//! Brings what a party hands in into the stored form, as a stream and in bounded memory.
//!
//! In comes a JSON document or raw encodings, from an upload or from an object of the party's own; out go an
//! object of raw encodings and, with blocking, one of blocks (see [`Contribution`]). Everything is checked while
//! it passes. When anything is wrong, nothing is left in the store.
//!
//! Knows formats and limits; nothing of HTTP, tokens, or which upload counts.

mod binary;
mod blocks;
mod document;
mod encodings;
mod error;
mod form;
mod grammar;
mod lexer;
mod memory;
mod order;
mod seen;
mod sinks;
mod source;
#[cfg(test)]
mod tests;
mod uploaded;

use std::error::Error;

use bytes::Bytes;
use futures::{Stream, StreamExt};

use crate::store::Store;
use crate::summary::Contribution;
use document::Document;
use grammar::Shape;
use sinks::Sinks;

pub use crate::plan::Limits;
pub use error::IngestError;
pub use form::{Form, is_json_name};
pub use memory::SharedMemory;
pub use source::{from_files, from_store};
pub use uploaded::{UploadedObjects, uploaded};

/// An error of a body's stream.
pub type BodyError = Box<dyn Error + Send + Sync>;

/// What the data must be like.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expectations {
    /// Whether the project uses blocking: then blocks are needed, else they are refused.
    pub blocking: bool,
    /// Bytes of one encoding, when they are fixed beforehand.
    pub encoding_bytes: Option<u32>,
    /// What is accepted at all.
    pub limits: Limits,
    /// What uploads may hold in all of records that wait for others. None: as much as each may hold by itself.
    pub memory: Option<&'static SharedMemory>,
}

/// What is said of raw encodings beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// Number of records; None where the length tells it.
    pub records: Option<u64>,
    /// Bytes of one encoding, at least 1.
    pub encoding_bytes: u32,
}

/// A document is parsed in pieces of this size, so that other tasks get their turn between them.
const PIECE_BYTES: usize = 64 << 10;

/// Takes in a JSON document: `{"clks": […]}`, `{"clknblocks": […]}`, or `{"encodings": …}` with optional `"blocks"`.
///
/// Writes to `<prefix>encodings` and, with blocking, `<prefix>blocks`; the prefix ends in `/`.
///
/// # Errors
/// See [`IngestError`]. [`IngestError::EncodingSize`] comes only when all the rest is well-formed.
pub async fn json<S, E>(
    body: S,
    expected: &Expectations,
    store: &Store,
    prefix: &str,
) -> Result<Contribution, IngestError>
where
    S: Stream<Item = Result<Bytes, E>> + Send,
    E: Into<BodyError>,
{
    document(body, Shape::Upload, expected, Sinks::open(store, prefix, true, expected.blocking).await?).await
}

/// Takes in raw encodings, one after the other.
///
/// # Errors
/// As [`json`].
pub async fn binary<S, E>(
    body: S,
    announced: Announced,
    expected: &Expectations,
    store: &Store,
    prefix: &str,
) -> Result<Contribution, IngestError>
where
    S: Stream<Item = Result<Bytes, E>> + Send,
    E: Into<BodyError>,
{
    if expected.blocking {
        return Err(IngestError::BlocksMissing);
    }
    binary::take_in(body, announced, expected, Sinks::open(store, prefix, true, false).await?).await
}

/// Parses a document into its sinks, which are emptied again when it is no good.
async fn document<S, E>(
    body: S,
    shape: Shape,
    expected: &Expectations,
    mut sinks: Sinks,
) -> Result<Contribution, IngestError>
where
    S: Stream<Item = Result<Bytes, E>> + Send,
    E: Into<BodyError>,
{
    match parse(body, Document::new(shape, expected), &mut sinks).await {
        Ok(counted) => sinks.finish(counted).await,
        Err(error) => {
            sinks.abort().await;
            Err(error)
        }
    }
}

/// What a document or a raw body turned out to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Counted {
    records: u32,
    encoding_bytes: u32,
    /// How many records are in a block; None where there are no blocks.
    with_block: Option<u32>,
    /// What of the data was not used.
    warning: Option<String>,
}

async fn parse<S, E>(body: S, mut document: Document, sinks: &mut Sinks) -> Result<Counted, IngestError>
where
    S: Stream<Item = Result<Bytes, E>> + Send,
    E: Into<BodyError>,
{
    let mut body = std::pin::pin!(body);
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| IngestError::Body(error.into()))?;
        for piece in chunk.chunks(PIECE_BYTES) {
            document.feed(piece)?;
            sinks.take(document.output()).await?;
        }
    }
    let counted = document.end()?;
    sinks.take(document.output()).await?;
    Ok(counted)
}
