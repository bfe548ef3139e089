//! Raw encodings, one after the other.

use bytes::Bytes;
use futures::{Stream, StreamExt};

use super::encodings::Size;
use super::form::Head;
use super::sinks::Sinks;
use super::{Announced, BodyError, Counted, Expectations, IngestError};
use crate::summary::Contribution;

pub(super) async fn take_in<S, E>(
    body: S,
    announced: Announced,
    expected: &Expectations,
    mut sinks: Sinks,
) -> Result<Contribution, IngestError>
where
    S: Stream<Item = Result<Bytes, E>> + Send,
    E: Into<BodyError>,
{
    match read(body, announced, expected, &mut sinks).await {
        Ok(counted) => sinks.finish(counted).await,
        Err(error) => {
            sinks.abort().await;
            Err(error)
        }
    }
}

async fn read<S, E>(
    body: S,
    announced: Announced,
    expected: &Expectations,
    sinks: &mut Sinks,
) -> Result<Counted, IngestError>
where
    S: Stream<Item = Result<Bytes, E>> + Send,
    E: Into<BodyError>,
{
    let mut head = Head::default();
    let mut length = Length::new(announced, expected)?;
    let mut size = Size::new(expected);
    size.check(0, announced.encoding_bytes as usize);
    let size = size.checked();
    let mut body = std::pin::pin!(body);
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| IngestError::Body(error.into()))?;
        head.look(&chunk)?;
        length.add(chunk.len())?;
        if size.is_ok() {
            sinks.take_encodings(&chunk).await?;
        }
    }
    head.judge()?;
    Ok(Counted { records: length.records()?, encoding_bytes: size?, with_block: None, warning: None })
}

/// How much has come, and how much should.
struct Length {
    announced: Announced,
    most: u64,
    got: u64,
}

impl Length {
    fn new(announced: Announced, expected: &Expectations) -> Result<Self, IngestError> {
        let most = u64::from(expected.limits.max_records);
        match announced {
            Announced { encoding_bytes: 0, .. } => {
                Err(IngestError::EncodingSize("an encoding of 0 bytes is not supported".into()))
            }
            Announced { records: Some(0), .. } => Err(IngestError::Empty),
            Announced { records: Some(records), .. } if records > most => Err(too_many(most)),
            _ => Ok(Self { announced, most, got: 0 }),
        }
    }

    fn add(&mut self, bytes: usize) -> Result<(), IngestError> {
        self.got += bytes as u64;
        let size = u64::from(self.announced.encoding_bytes);
        match self.announced.records {
            Some(records) if self.got > records * size => Err(IngestError::Length(format!(
                "the data is longer than the {} bytes announced ({records} encodings of {size} bytes); \
                 check number and size",
                records * size
            ))),
            None if self.got > self.most * size => Err(too_many(self.most)),
            _ => Ok(()),
        }
    }

    /// At the end: how many records there were.
    fn records(&self) -> Result<u32, IngestError> {
        let size = u64::from(self.announced.encoding_bytes);
        let got = self.got;
        match self.announced.records {
            Some(records) if got < records * size => Err(IngestError::Length(format!(
                "the data ends after {got} of {} bytes announced ({records} encodings of {size} bytes); \
                 check number and size, or send it again",
                records * size
            ))),
            None if !got.is_multiple_of(size) => Err(IngestError::Length(format!(
                "the data has {got} bytes, which is no multiple of the {size} bytes of an encoding: \
                 it ends within record {}; check the size, or whether the data is complete",
                got / size
            ))),
            _ if got == 0 => Err(IngestError::Empty),
            _ => u32::try_from(got / size).map_err(|_| too_many(self.most)),
        }
    }
}

fn too_many(most: u64) -> IngestError {
    IngestError::TooLarge(format!("there are more than {most} records"))
}
