//! What became of uploads that were complete: kept in the store for a while, for those who ask later.

use scorer::store::{Store, StoreError};
use serde::{Deserialize, Serialize};

use super::description::Description;
use crate::error::Error;
use crate::limits::body::JSON;

/// Most bytes of an outcome.
const MAX_BYTES: u64 = 64 << 10;

/// What became of an upload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// What it was.
    pub upload: Description,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of the data of an upload.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was taken in.
    TakenIn {
        /// Why it cannot be linked all the same, if it cannot.
        warning: Option<String>,
    },
    /// It was refused.
    Refused {
        /// The status that this is answered with.
        status: u16,
        /// What was wrong, where, and what to do.
        detail: String,
    },
}

impl Verdict {
    /// The verdict of an error, if it is final: what passes, or lies in the request, is none.
    pub fn of(error: &Error) -> Option<Self> {
        let status = error.status();
        let passes = matches!(error, Error::Aborted | Error::Forbidden | Error::TooSlow { .. });
        (status.is_client_error() && !passes)
            .then(|| Self::Refused { status: status.as_u16(), detail: error.to_string() })
    }
}

/// Writes what became of an upload; the first word counts.
///
/// # Errors
/// Fails when the store does not take it.
pub async fn write(store: &Store, key: &str, outcome: &Outcome) -> Result<(), Error> {
    let document = serde_json::to_vec(outcome).map_err(|error| Error::Internal(error.to_string()))?;
    store.put_if_absent(key, document.into(), JSON).await?;
    Ok(())
}

/// Reads it, if there is one.
///
/// # Errors
/// Fails when the store does not answer.
pub async fn read(store: &Store, key: &str) -> Result<Option<Outcome>, Error> {
    match store.read_small(key, MAX_BYTES).await {
        Ok(document) => serde_json::from_slice(&document)
            .map(Some)
            .map_err(|error| Error::Internal(format!("\"{key}\": {error}"))),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
