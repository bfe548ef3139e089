//! Memory that uploads share: what waits for records that have not come yet. Each upload has a bound of its own, too.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::IngestError;

/// Memory that all uploads of a process share.
#[derive(Debug)]
pub struct SharedMemory {
    most: usize,
    held: AtomicUsize,
}

impl SharedMemory {
    /// At most so many bytes.
    pub const fn new(most: usize) -> Self {
        Self { most, held: AtomicUsize::new(0) }
    }

    /// How many bytes are held.
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }
}

/// What one upload holds of it; given back when it is dropped.
#[derive(Debug, Default)]
pub(super) struct Share {
    memory: Option<&'static SharedMemory>,
    held: usize,
}

impl Share {
    pub fn of(memory: Option<&'static SharedMemory>) -> Self {
        Self { memory, held: 0 }
    }

    /// How many bytes this upload holds.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Takes some more.
    pub fn take(&mut self, bytes: usize) -> Result<(), IngestError> {
        if let Some(memory) = self.memory {
            let before = memory.held.fetch_add(bytes, Ordering::Relaxed);
            if before.saturating_add(bytes) > memory.most {
                memory.held.fetch_sub(bytes, Ordering::Relaxed);
                return Err(IngestError::Busy);
            }
        }
        self.held += bytes;
        Ok(())
    }

    /// Gives some back.
    pub fn give(&mut self, bytes: usize) {
        let bytes = bytes.min(self.held);
        self.held -= bytes;
        if let Some(memory) = self.memory {
            memory.held.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.give(self.held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uploads_share_the_memory_and_give_it_back() {
        static MEMORY: SharedMemory = SharedMemory::new(10);
        let (mut first, mut second) = (Share::of(Some(&MEMORY)), Share::of(Some(&MEMORY)));
        first.take(6).unwrap();
        assert!(matches!(second.take(5), Err(IngestError::Busy)));
        second.take(4).unwrap();
        first.give(3);
        second.take(3).unwrap();
        assert_eq!((MEMORY.held(), first.held(), second.held()), (10, 3, 7));
        drop((first, second));
        assert_eq!(MEMORY.held(), 0);
        Share::default().take(usize::MAX).unwrap();
    }
}
