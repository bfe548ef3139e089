use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::io::Read;

use super::{Error, Pair, PairReader};

/// A stream of pairs that knows its name, for messages.
pub trait PairStream: Iterator<Item = Result<Pair, Error>> {
    /// Which stream this is.
    fn name(&self) -> &str;
}

impl<R: Read> PairStream for PairReader<R> {
    fn name(&self) -> &str {
        PairReader::name(self)
    }
}

impl<S: PairStream + ?Sized> PairStream for Box<S> {
    fn name(&self) -> &str {
        (**self).name()
    }
}

/// One sorted stream out of any number of sorted streams, holding one pair of each.
///
/// Every stream's order is verified, and that no pair comes twice: what is read may be corrupt. After the first
/// error the stream ends; nothing after an error is to be trusted.
#[derive(Debug)]
pub struct Merge<S> {
    streams: Vec<S>,
    /// The pair that comes next.
    first: Option<Head>,
    /// The first unread pair of every other stream that has one. Many pairs have the same score, and those of one stream
    /// then mostly follow each other, so that the heap is seldom rearranged.
    others: BinaryHeap<Head>,
    /// The pair handed out last.
    last: Option<Pair>,
    failed: bool,
}

/// The heap's greatest element is the pair that comes first.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    pair: Pair,
    stream: usize,
    position: u64,
}

impl Ord for Head {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        (other.pair, other.stream).cmp(&(self.pair, self.stream))
    }
}

impl PartialOrd for Head {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<S: PairStream> Merge<S> {
    /// Reads the first pair of every stream.
    pub fn new(mut streams: Vec<S>) -> Result<Self, Error> {
        let mut others = BinaryHeap::with_capacity(streams.len());
        for (stream, pairs) in streams.iter_mut().enumerate() {
            if let Some(pair) = pairs.next().transpose()? {
                others.push(Head { pair, stream, position: 0 });
            }
        }
        Ok(Self { streams, first: others.pop(), others, last: None, failed: false })
    }

    /// Takes the first pair out, and puts the next one of its stream in.
    fn advance(&mut self) -> Result<Option<Pair>, Error> {
        let Some(head) = &mut self.first else { return Ok(None) };
        let first = head.pair;
        let stream = &mut self.streams[head.stream];
        if self.last == Some(first) {
            return Err(Error::Duplicate { stream: stream.name().into(), position: head.position });
        }
        self.last = Some(first);
        let Some(next) = stream.next().transpose()? else {
            self.first = self.others.pop();
            return Ok(Some(first));
        };
        head.position += 1;
        if next < first {
            return Err(Error::Unsorted { stream: stream.name().into(), position: head.position });
        }
        head.pair = next;
        if let Some(mut other) = self.others.peek_mut().filter(|other| **other > *head) {
            std::mem::swap(&mut *other, head);
        }
        Ok(Some(first))
    }
}

impl<S: PairStream> Iterator for Merge<S> {
    type Item = Result<Pair, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.advance().transpose();
        self.failed = matches!(next, Some(Err(_)));
        next
    }
}

#[cfg(test)]
mod tests;
