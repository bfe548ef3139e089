//! Permutations with a mask that only the holder of a key can read.
//!
//! The mask is encrypted once, and written to all three objects at the same time; in the clear it is written nowhere.

use std::io::{BufWriter, Write};
use std::time::Instant;

use super::Work;
use super::solve::{Output, WRITE_BYTES};
use crate::paillier::PublicKey;
use crate::result::{Error, PAILLIER_CONTEXT, Permutations, Seed, encrypt_mask};
use crate::store::BlockingWriter;
use crate::summary::{Failure, ResultObject};

/// One object and its buffer.
struct Open {
    name: String,
    key: String,
    out: BufWriter<BlockingWriter>,
}

/// Writes `{"mask":[…],"paillier_context":{…}}` for the result token, and for each party the same behind its permutation.
///
/// # Errors
/// When the store does not answer.
pub(super) fn write(
    work: &Work,
    permutations: &Permutations,
    key: &PublicKey,
    seed: &Seed,
    outputs: Vec<Output>,
) -> Result<Vec<ResultObject>, Failure> {
    let start = Instant::now();
    let mut open: Vec<Open> = outputs
        .into_iter()
        .map(|Output { name, key, writer }| Open {
            name,
            key,
            out: BufWriter::with_capacity(WRITE_BYTES, writer),
        })
        .collect();
    for object in &mut open {
        begin(object, permutations).map_err(Failure::from)?;
    }
    let mask = permutations.mask();
    work.state.add_mask_total(mask.len() as u64);
    let encrypting = encrypt_mask(mask, key, seed, |piece, elements| {
        for object in &mut open {
            object.out.write_all(piece)?;
        }
        work.state.add_mask_done(elements as u64);
        Ok(())
    });
    encrypting.map_err(Failure::from)?;
    tracing::info!(
        run = work.plan.run,
        elements = mask.len(),
        bits = key.bits(),
        seconds = start.elapsed().as_secs_f64(),
        "encrypted the mask"
    );
    open.into_iter().map(end).collect()
}

fn begin(object: &mut Open, permutations: &Permutations) -> Result<(), Error> {
    let out = &mut object.out;
    out.write_all(b"{")?;
    if let Some(dataset) = object.name.strip_prefix("permutation-") {
        let dataset = if dataset == "0" { 0 } else { 1 };
        permutations.write_permutation_members(dataset, &mut *out)?;
        out.write_all(b",")?;
    }
    Ok(out.write_all(b"\"mask\":[")?)
}

fn end(Open { name, key, mut out }: Open) -> Result<ResultObject, Failure> {
    write!(out, "],\"paillier_context\":{PAILLIER_CONTEXT}}}").map_err(Error::Write)?;
    let writer = out.into_inner().map_err(|error| Failure::from(Error::Write(error.into_error())))?;
    let written = writer.finish()?;
    Ok(ResultObject { name, key, bytes: written.bytes, sha256: written.sha256 })
}
