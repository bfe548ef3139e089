//! Memory for the bodies that are read whole: documents of JSON, not uploads. Each is bounded; this bounds all of them
//! together, as there may be one on every connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::error::Error;
use crate::limits::memory::DOCUMENTS_BYTES;

/// Bytes of a document that always has room: most are smaller.
const SMALL: usize = 4 << 10;

/// What documents hold.
#[derive(Clone, Debug, Default)]
pub struct Documents(Arc<AtomicUsize>);

/// The room of one document, until it is dropped.
#[derive(Debug)]
pub struct Room {
    documents: Documents,
    held: usize,
}

impl Documents {
    /// Room for a document of which nothing has come yet.
    pub fn room(&self) -> Room {
        Room { documents: self.clone(), held: 0 }
    }

    /// How many bytes are held.
    pub fn held(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Room {
    /// Makes room for so many bytes in all.
    ///
    /// # Errors
    /// [`Error::Busy`] when other documents hold what there is.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Error> {
        // it may take twice its size while it grows
        let wanted = bytes.saturating_sub(SMALL).saturating_mul(2);
        let Some(more) = wanted.checked_sub(self.held).filter(|more| *more > 0) else { return Ok(()) };
        let before = self.documents.0.fetch_add(more, Ordering::Relaxed);
        if before.saturating_add(more) > DOCUMENTS_BYTES {
            self.documents.0.fetch_sub(more, Ordering::Relaxed);
            return Err(Error::Busy);
        }
        self.held = wanted;
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.documents.0.fetch_sub(self.held, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_documents_always_have_room_and_large_ones_share_it() {
        let documents = Documents::default();
        let mut held = Vec::new();
        loop {
            let mut room = documents.room();
            room.grow(100).unwrap();
            match room.grow(1 << 20) {
                Ok(()) => held.push(room),
                Err(error) => break assert!(matches!(error, Error::Busy)),
            }
        }
        assert_eq!(held.len(), DOCUMENTS_BYTES / (2 << 20));
        documents.room().grow(SMALL).unwrap();
        held.pop();
        documents.room().grow(1 << 20).unwrap();
        held.clear();
        assert_eq!(documents.held(), 0);
    }
}
