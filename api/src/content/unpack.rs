//! Bodies that come packed (`Content-Encoding: gzip`), unpacked while they come.

use std::io;

use async_compression::tokio::bufread::GzipDecoder;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_ENCODING;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use tokio_util::io::{ReaderStream, StreamReader};

use crate::error::Error;
use crate::limits::body::LimitedBody;

/// Bytes that are unpacked at a time.
const PIECE_BYTES: usize = 64 << 10;

/// A body as its client meant it.
pub type Unpacked<'b> = BoxStream<'b, Result<Bytes, Error>>;

/// The body, unpacked if it comes packed. The body's own limit counts once more for what it unpacks to: a few bytes
/// could become very many.
///
/// # Errors
/// [`Error::UnsupportedEncoding`] when it is packed by anything but gzip.
pub fn unpacked<'b>(headers: &HeaderMap, body: &'b mut LimitedBody) -> Result<Unpacked<'b>, Error> {
    let limit = body.limit();
    match encoding(headers)? {
        Encoding::Identity => Ok(body.boxed()),
        Encoding::Gzip => Ok(limited(gunzipped(body), limit)),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Identity,
    Gzip,
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, Error> {
    let mut found = Encoding::Identity;
    for value in headers.get_all(CONTENT_ENCODING) {
        let name = value.to_str().unwrap_or("?").trim().to_ascii_lowercase();
        found = match (name.as_str(), found) {
            ("" | "identity", found) => found,
            // the older name, which counts as well
            ("gzip" | "x-gzip", Encoding::Identity) => Encoding::Gzip,
            _ => return Err(Error::UnsupportedEncoding),
        };
    }
    Ok(found)
}

fn gunzipped(body: &mut LimitedBody) -> Unpacked<'_> {
    let mut decoder = GzipDecoder::new(StreamReader::new(body.map_err(io::Error::other)));
    // what several programs have packed one after the other is well-formed, too
    decoder.multiple_members(true);
    ReaderStream::with_capacity(decoder, PIECE_BYTES).map_err(broken).boxed()
}

/// Errors of the body itself come through as they are.
fn broken(error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) => Error::Invalid(format!("the body is not as gzip makes it: {error}")),
    }
}

fn limited(chunks: Unpacked<'_>, limit: u64) -> Unpacked<'_> {
    let mut bytes = 0;
    let counted = chunks.map(move |chunk| {
        let chunk = chunk?;
        bytes += chunk.len() as u64;
        if bytes > limit { Err(Error::TooLarge { limit }) } else { Ok(chunk) }
    });
    counted.boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_compression::tokio::bufread::GzipEncoder;
    use axum::body::Body;
    use std::time::Duration;
    use tokio::io::AsyncReadExt;

    fn with(encoding: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_ENCODING, encoding.parse().unwrap())])
    }

    async fn packed(content: &[u8]) -> Vec<u8> {
        let mut packed = Vec::new();
        GzipEncoder::new(content).read_to_end(&mut packed).await.unwrap();
        packed
    }

    async fn unpack(headers: &HeaderMap, sent: Vec<u8>, limit: u64) -> Result<Vec<u8>, Error> {
        let pieces: Vec<_> =
            sent.chunks(7).map(|piece| Ok::<_, io::Error>(Bytes::copy_from_slice(piece))).collect();
        let body = Body::from_stream(futures::stream::iter(pieces));
        let mut body = LimitedBody::new(&HeaderMap::new(), body, limit, Duration::from_secs(5));
        Ok(unpacked(headers, &mut body)?.try_collect::<Vec<_>>().await?.concat())
    }

    #[tokio::test]
    async fn a_packed_body_is_unpacked() {
        let content = b"some text, some text, some text".repeat(50);
        let sent = packed(&content).await;
        for name in ["gzip", "GZIP", " x-gzip "] {
            assert_eq!(unpack(&with(name), sent.clone(), 10_000).await.unwrap(), content, "{name}");
        }
        assert_eq!(unpack(&with("identity"), content.clone(), 10_000).await.unwrap(), content);
        let twice = [sent.clone(), sent].concat();
        assert_eq!(unpack(&with("gzip"), twice, 10_000).await.unwrap(), content.repeat(2));
    }

    #[tokio::test]
    async fn the_limit_counts_for_what_it_unpacks_to() {
        let sent = packed(&vec![0; 1_000_000]).await;
        assert!(sent.len() < 5_000);
        let unpacked = unpack(&with("gzip"), sent.clone(), 999_999).await;
        assert!(matches!(unpacked, Err(Error::TooLarge { limit: 999_999 })));
        assert!(unpack(&with("gzip"), sent.clone(), 1_000_000).await.is_ok());
        // and for what is sent
        assert!(matches!(unpack(&with("gzip"), sent, 500).await, Err(Error::TooLarge { limit: 500 })));
    }

    #[tokio::test]
    async fn what_gzip_did_not_make_is_refused() {
        let whole = packed(b"some text").await;
        let mut wrong = whole.clone();
        let middle = whole.len() - 6;
        wrong[middle] ^= 1;
        let cut = whole[..whole.len() - 1].to_vec();
        for sent in [Vec::new(), b"plain".to_vec(), cut, wrong, [whole, b"rest".to_vec()].concat()] {
            assert!(matches!(unpack(&with("gzip"), sent, 10_000).await, Err(Error::Invalid(_))));
        }
    }

    #[test]
    fn other_encodings_are_not_known() {
        for name in ["br", "deflate", "zstd", "gzip, gzip", "gzipped", "\u{e4}"] {
            let headers = HeaderMap::from_iter([(CONTENT_ENCODING, name.as_bytes().try_into().unwrap())]);
            assert!(matches!(encoding(&headers), Err(Error::UnsupportedEncoding)), "{name}");
        }
        let mut twice = with("gzip");
        twice.append(CONTENT_ENCODING, "gzip".parse().unwrap());
        assert!(encoding(&twice).is_err());
    }
}
