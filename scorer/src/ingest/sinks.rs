use super::grammar::Output;
use super::{Counted, IngestError};
use crate::store::{ObjectWriter, Store};
use crate::summary::Contribution;

/// The objects that are being written. Dropping them gives up; nothing is visible then.
pub(super) struct Sinks {
    store: Store,
    encodings: Option<ObjectWriter>,
    blocks: Option<ObjectWriter>,
}

impl Sinks {
    /// Starts the objects of a contribution below a prefix that ends in `/`.
    pub async fn open(
        store: &Store,
        prefix: &str,
        encodings: bool,
        blocks: bool,
    ) -> Result<Self, IngestError> {
        let start = async |wanted: bool, name: &str| match wanted {
            true => store.writer(&format!("{prefix}{name}")).await.map(Some),
            false => Ok(None),
        };
        let (encodings, blocks) = (start(encodings, "encodings").await?, start(blocks, "blocks").await?);
        Ok(Self { store: store.clone(), encodings, blocks })
    }

    /// Writes what there is, and empties it.
    pub async fn take(&mut self, output: &mut Output) -> Result<(), IngestError> {
        write(&mut self.encodings, &mut output.encodings).await?;
        write(&mut self.blocks, &mut output.blocks).await
    }

    /// Writes raw encodings.
    pub async fn take_encodings(&mut self, bytes: &[u8]) -> Result<(), IngestError> {
        match &mut self.encodings {
            Some(writer) => Ok(writer.write(bytes).await?),
            None => Ok(()),
        }
    }

    /// Makes the objects visible, all or none.
    pub async fn finish(self, counted: Counted) -> Result<Contribution, IngestError> {
        let mut contribution = Contribution {
            encodings: String::new(),
            blocks: None,
            records: u64::from(counted.records),
            encoding_bytes: counted.encoding_bytes,
            blake3: String::new(),
            blocks_blake3: None,
            records_without_block: counted
                .with_block
                .map(|with| u64::from(counted.records.saturating_sub(with))),
            warning: counted.warning,
        };
        if let Some(writer) = self.blocks {
            contribution.blocks = Some(writer.key().to_owned());
            contribution.blocks_blake3 = Some(writer.finish().await?.blake3);
        }
        if let Some(writer) = self.encodings {
            contribution.encodings = writer.key().to_owned();
            match writer.finish().await {
                Ok(written) => contribution.blake3 = written.blake3,
                Err(error) => {
                    remove(&self.store, contribution.blocks.as_deref()).await;
                    return Err(error.into());
                }
            }
        }
        Ok(contribution)
    }

    pub async fn abort(self) {
        for writer in [self.encodings, self.blocks].into_iter().flatten() {
            writer.abort().await;
        }
    }
}

async fn write(writer: &mut Option<ObjectWriter>, bytes: &mut Vec<u8>) -> Result<(), IngestError> {
    if let Some(writer) = writer
        && !bytes.is_empty()
    {
        writer.write(bytes).await?;
    }
    bytes.clear();
    Ok(())
}

/// Deletes an object of a contribution that did not come about, as well as it can.
pub(super) async fn remove(store: &Store, key: Option<&str>) {
    if let Some(key) = key
        && let Err(error) = store.delete(key).await
    {
        tracing::warn!(key, %error, "an object of a failed contribution is left in the store");
    }
}
