//! An upload in the store: its description, and the pieces that have arrived of it.
//!
//! The key of a piece says where it begins, and which it is, so that the last one comes first in a listing: one request tells
//! how far the upload is. A piece is written only where the one before ends, and only if there is none at its key.

use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use scorer::store::{ObjectInfo, Store, StoreError};
use tokio::task::JoinHandle;

use super::description::Description;
use super::protocol::Standing;
use crate::error::Error;
use crate::limits::body::JSON;

/// Bytes of a piece. Of one request at most two are in memory: one that fills, one that is written.
pub const PIECE_BYTES: usize = 5 << 20;
/// Most pieces of an upload: an upload of the greatest size in requests of 500 kB.
const MAX_PIECES: u64 = 20_000;
/// Most bytes of a description.
const MAX_DESCRIPTION: u64 = 64 << 10;

/// An upload that is not complete, or not taken in yet.
#[derive(Clone, Debug)]
pub struct Upload {
    store: Store,
    /// Ends in `/`.
    folder: String,
    /// What it is for.
    pub description: Description,
    began: Option<SystemTime>,
}

/// How far an upload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How many of its bytes are there.
    pub offset: u64,
    pieces: u64,
    /// When the last of them was written, by the store's clock.
    written: Option<SystemTime>,
}

impl Upload {
    /// Begins one in a folder of its own, which ends in `/`.
    ///
    /// # Errors
    /// Fails when the store does not take it.
    pub async fn begin(store: &Store, folder: String, description: Description) -> Result<Self, Error> {
        let document =
            serde_json::to_vec(&description).map_err(|error| Error::Internal(error.to_string()))?;
        store.put_small(&format!("{folder}description.json"), document.into(), JSON).await?;
        Ok(Self { store: store.clone(), folder, description, began: Some(SystemTime::now()) })
    }

    /// The one in a folder, if there is one.
    ///
    /// # Errors
    /// Fails when the store does not answer.
    pub async fn open(store: &Store, folder: String) -> Result<Option<Self>, Error> {
        let key = format!("{folder}description.json");
        let (info, reader) = match store.get(&key).await {
            Err(StoreError::NotFound { .. }) => return Ok(None),
            found => found?,
        };
        if info.bytes > MAX_DESCRIPTION {
            return Err(Error::Internal(format!("\"{key}\" is too large for a description")));
        }
        let description = serde_json::from_slice(&reader.read_to_end().await?)
            .map_err(|error| Error::Internal(format!("\"{key}\": {error}")))?;
        Ok(Some(Self { store: store.clone(), folder, description, began: info.modified }))
    }

    /// The folder of all that is of it.
    pub fn folder(&self) -> &str {
        &self.folder
    }

    /// How far it is: what is durably stored.
    ///
    /// # Errors
    /// Fails when the store does not answer.
    pub async fn progress(&self) -> Result<Progress, Error> {
        let mut pieces = self.store.list(&self.pieces_folder());
        let begun = Progress { offset: 0, pieces: 0, written: self.began };
        let Some(last) = pieces.try_next().await? else { return Ok(begun) };
        let place = self.place(&last)?;
        Ok(Progress { offset: place.start + last.bytes, pieces: place.number + 1, written: last.modified })
    }

    /// Whether all of it is there.
    pub fn is_complete(&self, progress: &Progress) -> bool {
        progress.offset >= self.description.bytes
    }

    /// How it stands, for its client; complete uploads do not expire.
    pub fn standing(&self, progress: &Progress, expiry: Duration) -> Standing {
        let expires = progress
            .written
            .filter(|_| !self.is_complete(progress))
            .and_then(|written| written.checked_add(expiry));
        Standing { offset: progress.offset, expires }
    }

    /// Whether it was left for too long.
    pub fn is_expired(&self, progress: &Progress, expiry: Duration) -> bool {
        self.standing(progress, expiry).expires.is_some_and(|expires| expires <= SystemTime::now())
    }

    /// Adds what comes, from where it stands. Gives how far it is then, and what ended the body, if that was an error:
    /// whatever came before is kept.
    pub async fn append(
        &self,
        mut progress: Progress,
        mut body: impl Stream<Item = Result<Bytes, Error>> + Unpin,
    ) -> (Progress, Result<(), Error>) {
        let mut filling = BytesMut::new();
        let mut writing: Option<Writing> = None;
        let ended = loop {
            match body.next().await {
                None => break Ok(()),
                Some(Err(error)) => break Err(error),
                Some(Ok(chunk)) => filling.extend_from_slice(&chunk),
            }
            while filling.len() >= PIECE_BYTES {
                let full = filling.split_to(PIECE_BYTES).freeze();
                if let Err(error) = written(&mut progress, writing.take()).await {
                    return (progress, Err(error));
                }
                match self.write(&progress, full) {
                    Ok(begun) => writing = Some(begun),
                    Err(error) => return (progress, Err(error)),
                }
            }
        };
        if let Err(error) = written(&mut progress, writing.take()).await {
            return (progress, Err(error));
        }
        if !filling.is_empty() {
            let rest = match self.write(&progress, filling.freeze()) {
                Ok(rest) => written(&mut progress, Some(rest)).await,
                Err(error) => Err(error),
            };
            if let Err(error) = rest {
                return (progress, Err(error));
            }
        }
        (progress, ended)
    }

    fn write(&self, progress: &Progress, content: Bytes) -> Result<Writing, Error> {
        if progress.pieces >= MAX_PIECES {
            return Err(Error::Invalid(format!(
                "the upload came in more than {MAX_PIECES} pieces; begin it again, and send more at a time"
            )));
        }
        let place = Place { start: progress.offset, number: progress.pieces };
        let key = format!("{}{}", self.pieces_folder(), place.name());
        let (store, bytes) = (self.store.clone(), content.len() as u64);
        let task =
            tokio::spawn(async move { store.put_if_absent(&key, content, "application/octet-stream").await });
        Ok(Writing { bytes, task })
    }

    /// All of it, in order.
    ///
    /// # Errors
    /// Fails when the store does not answer, or pieces are missing.
    pub async fn content(&self) -> Result<impl Stream<Item = Result<Bytes, Error>> + Send + use<>, Error> {
        let mut pieces: Vec<ObjectInfo> = self.store.list(&self.pieces_folder()).try_collect().await?;
        pieces.reverse();
        let mut end = 0;
        for piece in &pieces {
            if self.place(piece)?.start != end {
                return Err(gap(end));
            }
            end += piece.bytes;
        }
        if end != self.description.bytes {
            return Err(gap(end));
        }
        let store = self.store.clone();
        let contents = stream::iter(pieces).then(move |piece| {
            let store = store.clone();
            async move {
                let (_, content) = store.get(&piece.key).await?;
                Ok::<_, Error>(content.map_err(Error::from))
            }
        });
        Ok(contents.try_flatten())
    }

    fn pieces_folder(&self) -> String {
        format!("{}pieces/", self.folder)
    }

    fn place(&self, piece: &ObjectInfo) -> Result<Place, Error> {
        let name = piece.key.strip_prefix(&self.pieces_folder()).and_then(Place::of);
        name.ok_or_else(|| Error::Internal(format!("\"{}\" is no piece of an upload", piece.key)))
    }
}

/// A piece that is being written.
struct Writing {
    bytes: u64,
    task: JoinHandle<Result<bool, StoreError>>,
}

/// Waits for a piece; notes that it is there.
async fn written(progress: &mut Progress, writing: Option<Writing>) -> Result<(), Error> {
    let Some(Writing { bytes, task }) = writing else { return Ok(()) };
    let is_ours = task.await.map_err(|error| Error::Internal(format!("writing a piece: {error}")))??;
    if !is_ours {
        return Err(Error::OffsetConflict);
    }
    let now = SystemTime::now();
    *progress = Progress { offset: progress.offset + bytes, pieces: progress.pieces + 1, written: Some(now) };
    Ok(())
}

fn gap(at: u64) -> Error {
    Error::Invalid(format!("the upload has a gap at byte {at}; upload it again"))
}

/// Where a piece begins, and which it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    start: u64,
    number: u64,
}

impl Place {
    /// Later pieces have names that are sorted before those of earlier ones.
    fn name(self) -> String {
        format!("{:016x}-{}", u64::MAX - self.start, self.number)
    }

    fn of(name: &str) -> Option<Self> {
        let (start, number) = name.split_once('-')?;
        let start = u64::MAX - u64::from_str_radix(start, 16).ok()?;
        Some(Self { start, number: number.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resumable::description::Form;

    async fn upload(bytes: u64) -> (tempfile::TempDir, Upload) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::in_directory(folder.path()).unwrap();
        let description = Description { bytes, form: Form::Json, metadata: String::new() };
        let begun = Upload::begin(&store, "u/1/".into(), description).await.unwrap();
        (folder, begun)
    }

    fn body(chunks: Vec<Result<Vec<u8>, Error>>) -> impl Stream<Item = Result<Bytes, Error>> + Unpin {
        stream::iter(chunks.into_iter().map(|chunk| chunk.map(Bytes::from)).collect::<Vec<_>>())
    }

    async fn content(upload: &Upload) -> Vec<u8> {
        let chunks = upload.content().await.unwrap();
        chunks.try_collect::<Vec<Bytes>>().await.unwrap().concat()
    }

    #[tokio::test]
    async fn what_came_before_a_break_is_kept_to_the_last_byte() {
        let all: Vec<u8> = (0..2 * PIECE_BYTES + 77).map(|n| (n % 251) as u8).collect();
        let (_folder, upload) = upload(all.len() as u64).await;
        let cuts = [0, 5, PIECE_BYTES + 7, 2 * PIECE_BYTES + 76, all.len()];
        for cut in cuts.windows(2) {
            let before = upload.progress().await.unwrap();
            assert_eq!(before.offset, cut[0] as u64);
            let sent = all[cut[0]..cut[1]].to_vec();
            let (after, ended) = upload.append(before, body(vec![Ok(sent), Err(Error::Aborted)])).await;
            assert!(matches!(ended, Err(Error::Aborted)));
            assert_eq!(after.offset, cut[1] as u64);
        }
        assert!(upload.is_complete(&upload.progress().await.unwrap()));
        assert_eq!(content(&upload).await, all);
    }

    #[tokio::test]
    async fn of_two_that_go_on_at_the_same_place_one_wins() {
        let (_folder, upload) = upload(9).await;
        let start = upload.progress().await.unwrap();
        let (first, ended) = upload.append(start, body(vec![Ok(b"abc".to_vec())])).await;
        assert!(ended.is_ok() && first.offset == 3);
        let (second, ended) = upload.append(start, body(vec![Ok(b"abcdef".to_vec())])).await;
        assert!(matches!(ended, Err(Error::OffsetConflict)) && second.offset == 0);
        let (_, ended) = upload.append(first, body(vec![Ok(b"def".to_vec()), Ok(b"ghi".to_vec())])).await;
        assert!(ended.is_ok());
        assert_eq!(content(&upload).await, b"abcdefghi");
    }

    #[tokio::test]
    async fn an_upload_with_a_gap_is_not_taken_for_whole() {
        let (folder, upload) = upload(6).await;
        let start = upload.progress().await.unwrap();
        let (first, _) = upload.append(start, body(vec![Ok(b"abc".to_vec())])).await;
        let (_, ended) = upload.append(first, body(vec![Ok(b"def".to_vec())])).await;
        assert!(ended.is_ok());
        std::fs::write(folder.path().join("u/1/pieces").join(Place { start: 0, number: 0 }.name()), b"ab")
            .unwrap();
        assert!(matches!(upload.content().await.err(), Some(Error::Invalid(_))));
    }

    #[tokio::test]
    async fn pieces_are_bounded_in_number() {
        let (_folder, upload) = upload(9).await;
        let progress = Progress { offset: 3, pieces: MAX_PIECES, written: None };
        let (after, ended) = upload.append(progress, body(vec![Ok(b"a".to_vec())])).await;
        assert!(matches!(ended, Err(Error::Invalid(_))) && after == progress);
    }

    #[test]
    fn the_last_piece_is_listed_first() {
        let names = [0, 1, PIECE_BYTES as u64, u64::MAX].map(|start| Place { start, number: 7 }.name());
        assert!(names.is_sorted_by(|a, b| a > b), "{names:?}");
        for (name, start) in names.iter().zip([0, 1, PIECE_BYTES as u64, u64::MAX]) {
            assert_eq!(Place::of(name), Some(Place { start, number: 7 }));
        }
        assert_eq!(Place::of("x-1"), None);
    }
}
