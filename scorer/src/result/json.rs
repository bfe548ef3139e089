use std::io::{self, Write};

use super::Error;
use crate::pairs::{self, Pair};
use crate::solve::Groups;

/// Writes `{"groups":[[[dataset,record],…],…]}`, in the order of [`Groups::iter`].
pub fn write_groups(mut out: impl Write, groups: &Groups) -> Result<(), Error> {
    out.write_all(b"{\"groups\":[")?;
    for (i, group) in groups.iter().enumerate() {
        out.write_all(if i == 0 { b"[" } else { b",[" })?;
        for (j, member) in group.iter().enumerate() {
            let separator = if j == 0 { "" } else { "," };
            write!(out, "{separator}[{},{}]", member.dataset, member.record)?;
        }
        out.write_all(b"]")?;
    }
    out.write_all(b"]}")?;
    Ok(out.flush()?)
}

/// Writes `{"similarity_scores":[[[dataset,record],[dataset,record],score],…]}` in the order of the pairs, which
/// is to be theirs ([`Pair`]). Scores are printed such that they read back to the same bits. Gives the number of
/// pairs back.
pub fn write_similarity_scores(
    mut out: impl Write,
    pairs: impl IntoIterator<Item = Result<Pair, pairs::Error>>,
) -> Result<u64, Error> {
    let mut written = 0;
    out.write_all(b"{\"similarity_scores\":[")?;
    for pair in pairs {
        write_score(&mut out, written == 0, &pair?)?;
        written += 1;
    }
    out.write_all(b"]}")?;
    out.flush()?;
    Ok(written)
}

fn write_score(out: &mut impl Write, first: bool, pair: &Pair) -> io::Result<()> {
    let Pair { score, dataset0, dataset1, record0, record1 } = pair;
    let separator = if first { "" } else { "," };
    write!(out, "{separator}[[{dataset0},{record0}],[{dataset1},{record1}],")?;
    serde_json::to_writer(&mut *out, score)?;
    out.write_all(b"]")
}

#[cfg(test)]
mod tests;
