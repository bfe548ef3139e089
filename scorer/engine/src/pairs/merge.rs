use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::io::Read;

use super::{Error, Pair, PairReader};

/// A stream of sorted pairs, read many at a time, that knows its name, for messages.
pub trait PairStream {
    /// Which stream this is.
    fn name(&self) -> &str;

    /// Replaces what is in `block` by the next pairs: as many as the stream likes to give, and none at its end.
    ///
    /// # Errors
    /// When the next pairs cannot be read or make no sense. What follows is not to be read then.
    fn read_block(&mut self, block: &mut Vec<Pair>) -> Result<(), Error>;
}

impl<R: Read> PairStream for PairReader<R> {
    fn name(&self) -> &str {
        PairReader::name(self)
    }

    fn read_block(&mut self, block: &mut Vec<Pair>) -> Result<(), Error> {
        PairReader::read_block(self, block)
    }
}

impl<S: PairStream + ?Sized> PairStream for Box<S> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn read_block(&mut self, block: &mut Vec<Pair>) -> Result<(), Error> {
        (**self).read_block(block)
    }
}

/// One sorted stream out of any number of sorted streams, holding a block of pairs of each.
///
/// Every stream's order is verified, and that no pair comes twice: what is read may be corrupt. After the first
/// error the stream ends; nothing after an error is to be trusted.
///
/// It is an iterator over pairs; [`Merge::next_run`] gives many at a time, which is several times as fast.
#[derive(Debug)]
pub struct Merge<S> {
    streams: Vec<S>,
    /// The stream whose pair comes next.
    first: Option<Head>,
    /// Up to where the pairs in the block of `first` come before those of all others.
    run_end: usize,
    /// Every other stream that has unread pairs.
    others: BinaryHeap<Head>,
    failed: bool,
}

/// A stream's block of pairs, with at least one unread. The heap's greatest element is the one whose pair comes first.
#[derive(Debug)]
struct Head {
    stream: usize,
    pairs: Vec<Pair>,
    /// The first unread pair.
    next: usize,
    /// Pairs of the stream before this block.
    before: u64,
}

impl Head {
    fn pair(&self) -> &Pair {
        &self.pairs[self.next]
    }

    /// Reads the stream's next block, once all of this one is read; false at the end.
    fn refill(&mut self, stream: &mut impl PairStream) -> Result<bool, Error> {
        let last = self.pairs.last().copied();
        self.before += self.pairs.len() as u64;
        self.next = 0;
        stream.read_block(&mut self.pairs)?;
        if let Some((index, ordering)) = first_disorder(last, &self.pairs) {
            let (stream, position) = (stream.name().to_owned(), self.before + index as u64);
            return Err(match ordering {
                Ordering::Equal => Error::Duplicate { stream, position },
                _ => Error::Unsorted { stream, position },
            });
        }
        Ok(!self.pairs.is_empty())
    }
}

/// The first pair that does not come after the one before it, and how it compares.
fn first_disorder(last: Option<Pair>, pairs: &[Pair]) -> Option<(usize, Ordering)> {
    let is_sorted = |two: &[Pair]| two[0] < two[1];
    if last.iter().all(|last| pairs.first().is_none_or(|first| last < first))
        && pairs.windows(2).all(is_sorted)
    {
        return None;
    }
    let predecessors = last.iter().chain(pairs);
    let followers = pairs.iter().enumerate().skip(usize::from(last.is_none()));
    predecessors
        .zip(followers)
        .map(|(one, (index, next))| (index, next.cmp(one)))
        .find(|(_, ordering)| ordering.is_le())
}

/// How many of the pairs, which are sorted, come before this one. Mostly few do, or all.
fn count_before(pairs: &[Pair], limit: &Pair) -> usize {
    let mut bound = 1;
    while bound < pairs.len() && pairs[bound] < *limit {
        bound *= 2;
    }
    let known = bound / 2;
    known + pairs[known..bound.min(pairs.len())].partition_point(|pair| pair < limit)
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

impl Ord for Head {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        (other.pair(), other.stream).cmp(&(self.pair(), self.stream))
    }
}

impl PartialOrd for Head {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<S: PairStream> Merge<S> {
    /// Reads the first pairs of every stream.
    pub fn new(mut streams: Vec<S>) -> Result<Self, Error> {
        let mut others = BinaryHeap::with_capacity(streams.len());
        for (index, stream) in streams.iter_mut().enumerate() {
            let mut head = Head { stream: index, pairs: Vec::new(), next: 0, before: 0 };
            if head.refill(stream)? {
                others.push(head);
            }
        }
        Ok(Self { streams, first: others.pop(), run_end: 0, others, failed: false })
    }

    /// The next pairs: at least one, and as many as come from one stream without another one's in between; None at the end.
    ///
    /// # Errors
    /// When a stream cannot be read, is corrupt or not sorted, or a pair comes twice.
    pub fn next_run(&mut self) -> Result<Option<&[Pair]>, Error> {
        if !self.find_run()? {
            return Ok(None);
        }
        let run_end = self.run_end;
        Ok(self.first.as_mut().map(|head| &head.pairs[std::mem::replace(&mut head.next, run_end)..run_end]))
    }

    /// Sees to it that there are unread pairs of a run; false at the end, and after an error.
    fn find_run(&mut self) -> Result<bool, Error> {
        if self.failed {
            return Ok(false);
        }
        if self.first.as_ref().is_some_and(|head| head.next < self.run_end) {
            return Ok(true);
        }
        let found = self.begin_run();
        self.failed = found.is_err();
        found
    }

    fn begin_run(&mut self) -> Result<bool, Error> {
        let Some(head) = &mut self.first else { return Ok(false) };
        if head.next == head.pairs.len() && !head.refill(&mut self.streams[head.stream])? {
            let Some(other) = self.others.pop() else {
                self.first = None;
                return Ok(false);
            };
            *head = other;
        } else if let Some(mut other) = self.others.peek_mut().filter(|other| **other > *head) {
            std::mem::swap(&mut *other, head);
        }
        self.run_end = head.pairs.len();
        if let Some(other) = self.others.peek() {
            self.run_end = head.next + count_before(&head.pairs[head.next..], other.pair());
            if self.run_end == head.next {
                let stream = self.streams[other.stream].name().to_owned();
                return Err(Error::Duplicate { stream, position: other.before + other.next as u64 });
            }
        }
        Ok(true)
    }
}

impl<S: PairStream> Iterator for Merge<S> {
    type Item = Result<Pair, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.find_run() {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => return Some(Err(error)),
        }
        let head = self.first.as_mut()?;
        head.next += 1;
        Some(Ok(head.pairs[head.next - 1]))
    }
}

#[cfg(test)]
mod tests;
