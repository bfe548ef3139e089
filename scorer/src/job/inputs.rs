//! The parties' data, brought to where the engine can read it.

use std::path::{Path, PathBuf};

use futures::TryStreamExt;
use tokio::io::AsyncReadExt;

use super::failure::{corrupt, from_io, internal};
use super::{Work, memory};
use crate::engine::{Blocks, BlocksBuilder, FileEncodings};
use crate::plan::PartyInput;
use crate::store::{ContentHash, Store, StoreError};
use crate::summary::Failure;

/// Files are checked in pieces of this size.
const READ_BYTES: usize = 1 << 20;

/// What scoring works on.
pub(super) struct Inputs {
    pub encodings: Vec<FileEncodings>,
    pub blocks: Option<Blocks>,
    /// Memory that the blocks take, roughly.
    pub blocks_bytes: u64,
    /// Where the encodings lie, if they had to be fetched; gone when this is dropped.
    _folder: tempfile::TempDir,
}

pub(super) async fn load(work: &Work) -> Result<Inputs, Failure> {
    let folder = tempfile::Builder::new()
        .prefix("linkage-")
        .tempdir_in(&work.scratch)
        .map_err(|error| from_io(&format!("no folder can be made in {}", work.scratch.display()), error))?;
    let mut encodings = Vec::new();
    for (dataset, input) in work.plan.inputs.iter().enumerate() {
        let path = fetch(&work.store, input, &folder.path().join(dataset.to_string())).await?;
        encodings.push(FileEncodings::open(path, input.encoding_bytes as usize, dataset)?);
    }
    let (blocks, blocks_bytes) = match work.plan.blocking {
        true => load_blocks(work).await.map(|(blocks, bytes)| (Some(blocks), bytes))?,
        false => (None, 0),
    };
    Ok(Inputs { encodings, blocks, blocks_bytes, _folder: folder })
}

/// A file with the party's encodings, the very ones that it contributed.
async fn fetch(store: &Store, input: &PartyInput, path: &Path) -> Result<PathBuf, Failure> {
    let key = &input.encodings;
    let expected = input.records * u64::from(input.encoding_bytes);
    let info = store.head(key).await?.ok_or_else(|| corrupt(key, "it is not there any more"))?;
    if info.bytes != expected {
        return Err(corrupt(key, &format!("it has {} bytes, {expected} were contributed", info.bytes)));
    }
    let (path, blake3) = match store.local_path(key) {
        Some(path) => {
            let blake3 = file_blake3(&path).await?;
            (path, blake3)
        }
        None => (path.to_owned(), store.download_to(key, path).await?.blake3),
    };
    if blake3 != input.blake3 {
        return Err(corrupt(key, &format!("it is not what party {} contributed", input.party)));
    }
    Ok(path)
}

async fn file_blake3(path: &Path) -> Result<String, Failure> {
    let failed =
        |source| StoreError::File { what: format!("the file {} cannot be read", path.display()), source };
    let mut file = tokio::fs::File::open(path).await.map_err(failed)?;
    let mut hash = ContentHash::new();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match file.read(&mut buffer).await.map_err(failed)? {
            0 => return Ok(hash.hex()),
            read => hash.update(&buffer[..read]),
        }
    }
}

async fn load_blocks(work: &Work) -> Result<(Blocks, u64), Failure> {
    let records: Vec<u32> = work
        .plan
        .inputs
        .iter()
        .map(|input| u32::try_from(input.records).map_err(|_| internal("a plan with too many records")))
        .collect::<Result<_, _>>()?;
    let total: u64 = work.plan.inputs.iter().map(|input| input.records).sum();
    let mut builder = BlocksBuilder::new(&records);
    let mut entries = 0;
    for (dataset, input) in work.plan.inputs.iter().enumerate() {
        let key = input.blocks.as_deref().ok_or_else(|| internal("a plan without blocks"))?;
        let (_, body) = work.store.get(key).await?;
        // those that an earlier version took in have no hash
        let mut body = match &input.blocks_blake3 {
            Some(blake3) => body.checked(blake3),
            None => body,
        };
        let changed = |error| match error {
            StoreError::Changed { .. } => {
                corrupt(key, &format!("it is not what party {} contributed", input.party))
            }
            error => error.into(),
        };
        let mut pending = Vec::new();
        while let Some(chunk) = body.try_next().await.map_err(changed)? {
            pending.extend_from_slice(&chunk);
            let mut rest = &pending[..];
            while let Some((record, block, after)) = entry(rest) {
                rest = after;
                // taken in by an earlier version: an empty block id is no block
                if !block.is_empty() {
                    builder.add(dataset, record, block)?;
                    entries += 1;
                }
            }
            let parsed = pending.len() - rest.len();
            pending.drain(..parsed);
            memory::check_blocks(work.plan.memory_limit_bytes, entries, total)?;
        }
        if !pending.is_empty() {
            return Err(corrupt(key, "it ends within an entry"));
        }
    }
    let blocks = tokio::task::spawn_blocking(|| builder.finish());
    let blocks = blocks.await.map_err(|error| internal(&error.to_string()))??;
    Ok((blocks, memory::blocks_bytes(entries, total)))
}

/// The first entry: u32 LE record index, u16 LE length, block id; and what comes after it.
fn entry(bytes: &[u8]) -> Option<(u32, &[u8], &[u8])> {
    let (record, rest) = bytes.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (block, after) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
    Some((u32::from_le_bytes(*record), block, after))
}
