//! The objects of a result while they are being written.

use std::io::BufWriter;

use super::Work;
use super::failure::from_io;
use crate::pairs::{Merge, Pair, PairStream};
use crate::plan::{ResultFormat, RunPlan, SIMILARITY_SCORES};
use crate::result::{self, SimilarityScoresWriter};
use crate::store::{BlockingWriter, Written};
use crate::summary::{Failure, ResultObject, ShardManifest};

/// Where a writer of results writes to.
pub(super) type Out = BufWriter<BlockingWriter>;

/// Results are handed to the store in pieces of this size.
pub(super) const WRITE_BYTES: usize = 1 << 20;

/// One object of the result.
pub(super) struct Object {
    pub name: String,
    pub format: ResultFormat,
    key: String,
}

/// One object that nothing is written to yet.
pub(super) struct Output {
    pub object: Object,
    pub out: Out,
}

impl Object {
    /// Makes the object visible, once all is written.
    pub fn finish(self, out: Out) -> Result<ResultObject, Failure> {
        let writer = out.into_inner();
        let writer = writer.map_err(|error| from_io("the result could not be stored", error.into_error()))?;
        let Written { bytes, blake3 } = writer.finish()?;
        let Self { name, format, key } = self;
        Ok(ResultObject { name, format, key, bytes, blake3 })
    }
}

/// Whether similarity scores are written in anonlink's format. A single shard's pairs are in that form already.
pub(super) fn writes_pairs(plan: &RunPlan) -> bool {
    plan.has_similarity_scores() && plan.shards > 1
}

/// The only shard's pairs as an object of the result, where it has similarity scores and nothing was written anew.
pub(super) fn stored_pairs(work: &Work, manifests: &[ShardManifest]) -> Option<ResultObject> {
    let [ShardManifest { bytes, blake3, .. }] = manifests else { return None };
    work.plan.has_similarity_scores().then(|| ResultObject {
        name: SIMILARITY_SCORES.into(),
        format: ResultFormat::Anonlink,
        key: work.pairs_key(0),
        bytes: *bytes,
        blake3: blake3.clone(),
    })
}

/// All objects that the plan asks for, each in every format, the main one first.
pub(super) async fn open(work: &Work) -> Result<Vec<Output>, Failure> {
    let mut outputs = Vec::new();
    for name in work.plan.result_type.object_names(work.plan.with_similarity_scores) {
        let pairs = (name == SIMILARITY_SCORES && writes_pairs(&work.plan)).then_some(ResultFormat::Anonlink);
        for format in work.plan.formats.iter().copied().chain(pairs) {
            let key = work.key(format_args!("result/{name}.{}", format.extension()));
            let writer = BlockingWriter::new(work.store.writer(&key).await?);
            let object = Object { name: name.to_owned(), format, key };
            outputs.push(Output { object, out: BufWriter::with_capacity(WRITE_BYTES, writer) });
        }
    }
    Ok(outputs)
}

/// Writes one object after the other.
pub(super) fn write_all(
    outputs: Vec<Output>,
    write: impl Fn(Out, &Object) -> Result<Out, result::Error>,
) -> Result<Vec<ResultObject>, Failure> {
    let finish = |Output { object, out }: Output| {
        let out = write(out, &object)?;
        object.finish(out)
    };
    outputs.into_iter().map(finish).collect()
}

/// Similarity scores in all formats at the same time, as pairs come only once. None, where they are not asked for.
pub(super) struct ScoresOutputs<'p>(Vec<(Object, SimilarityScoresWriter<'p, Out>)>);

impl<'p> ScoresOutputs<'p> {
    /// Takes those of the outputs that are of similarity scores, and gives the others back.
    pub fn of(outputs: Vec<Output>, parties: &'p [String]) -> Result<(Self, Vec<Output>), Failure> {
        let (scores, others): (Vec<_>, Vec<_>) =
            outputs.into_iter().partition(|output| output.object.name == SIMILARITY_SCORES);
        let start = |Output { object, out }: Output| -> Result<_, Failure> {
            let writer = SimilarityScoresWriter::new(out, object.format, parties)?;
            Ok((object, writer))
        };
        Ok((Self(scores.into_iter().map(start).collect::<Result<_, _>>()?), others))
    }

    /// Writes the next pairs.
    pub fn pairs(&mut self, pairs: &[Pair]) -> Result<(), Failure> {
        let mut writers = self.0.iter_mut();
        Ok(writers.try_for_each(|(_, writer)| pairs.iter().try_for_each(|pair| writer.pair(pair)))?)
    }

    /// Writes all that are left of these.
    pub fn all_pairs<S: PairStream>(&mut self, mut pairs: Merge<S>) -> Result<(), Failure> {
        while let Some(run) = pairs.next_run()? {
            self.pairs(run)?;
        }
        Ok(())
    }

    pub fn finish(self) -> Result<Vec<ResultObject>, Failure> {
        self.0.into_iter().map(|(object, writer)| object.finish(writer.finish()?)).collect()
    }
}
