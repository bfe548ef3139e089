use thiserror::Error;

/// Why the store did not do what was asked. Messages never hold credentials.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no such object.
    #[error("there is no object \"{key}\" in the store")]
    NotFound {
        /// The key that was asked for.
        key: String,
    },
    /// There is no such bucket.
    #[error(
        "there is no bucket \"{bucket}\" in the store; create it, or allow its creation by --store-create-bucket"
    )]
    BucketMissing {
        /// The bucket's name.
        bucket: String,
    },
    /// The store refuses these credentials.
    #[error("the store refuses {what}; check its credentials and what they permit")]
    Denied {
        /// What was tried.
        what: String,
    },
    /// The store does not answer, or is in trouble: trying again may help.
    #[error("the store is not available for {what}: {why}")]
    Unavailable {
        /// What was tried.
        what: String,
        /// What went wrong.
        why: String,
    },
    /// The store has no space left: trying again helps once somebody has made room.
    #[error("the store has no space left for {what}; make room or enlarge its volume")]
    Full {
        /// What was to be written.
        what: String,
    },
    /// The store has forgotten the parts of an object that was being written: write all of it again.
    #[error("the store does not know any more what was written of \"{key}\"; write it again")]
    UploadLost {
        /// The object's key.
        key: String,
    },
    /// The store answered that it will not do this.
    #[error("the store rejects {what}: {why}")]
    Rejected {
        /// What was tried.
        what: String,
        /// The store's own words.
        why: String,
    },
    /// The object is no longer the one that was first seen.
    #[error("the object \"{key}\" was replaced while it was read")]
    Replaced {
        /// The object's key.
        key: String,
    },
    /// The bytes of an object are not those that were written.
    #[error("the object \"{key}\" in the store is not the one that was written: its content has changed")]
    Changed {
        /// The object's key.
        key: String,
    },
    /// An object's bytes ended early.
    #[error("the object \"{key}\" ended after {got} of {expected} bytes")]
    Truncated {
        /// The object's key.
        key: String,
        /// Bytes that should have come.
        expected: u64,
        /// Bytes that came.
        got: u64,
    },
    /// An object is larger than its reader accepts.
    #[error("the object \"{key}\" has {bytes} bytes, more than the {max_bytes} allowed")]
    TooLarge {
        /// The object's key.
        key: String,
        /// Its size.
        bytes: u64,
        /// The most that is accepted.
        max_bytes: u64,
    },
    /// A key that cannot be used.
    #[error("the key {key:?} cannot be used: {why}")]
    InvalidKey {
        /// The key.
        key: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Settings that cannot be used.
    #[error("the store's settings cannot be used: {why}")]
    InvalidSettings {
        /// What is wrong, and what is expected.
        why: String,
    },
    /// A local file could not be read or written.
    #[error("{what}: {source}")]
    File {
        /// What was tried.
        what: String,
        /// What the operating system said.
        source: std::io::Error,
    },
}

impl StoreError {
    /// Whether trying again later may help.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. }
                | Self::Full { .. }
                | Self::UploadLost { .. }
                | Self::Truncated { .. }
                | Self::Replaced { .. }
        )
    }

    pub(super) fn file(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::File { what, source }
    }
}
