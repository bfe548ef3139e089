//! Links two files of raw encodings, back to back, and prints the pairs as CSV, in no order:
//!
//! ```sh
//! cargo run --release --example link -- FIRST SECOND ENCODING_BYTES THRESHOLD
//! ```

use std::error::Error;
use std::io::{self, BufWriter, Write};

use linkage_engine::pairs::{self, Pair};
use linkage_engine::{EncodingSource, FileEncodings, Linkage, Meter, PairSink, Threshold};

/// Writes each pair as a line.
struct Csv<W: Write>(W);

impl<W: Write> PairSink for Csv<W> {
    fn accept(&mut self, pairs: &[Pair]) -> Result<(), pairs::Error> {
        pairs
            .iter()
            .try_for_each(|pair| writeln!(self.0, "{},{},{}", pair.record0, pair.record1, pair.score))
            .map_err(|source| pairs::Error::Io { stream: "the CSV".into(), source })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [first, second, encoding_bytes, threshold] = &arguments[..] else {
        return Err("usage: link FIRST SECOND ENCODING_BYTES THRESHOLD".into());
    };
    let encoding_bytes = encoding_bytes.parse()?;
    let first = FileEncodings::open(first, encoding_bytes, 0)?;
    let second = FileEncodings::open(second, encoding_bytes, 1)?;
    let parties: [&dyn EncodingSource; 2] = [&first, &second];

    let mut csv = Csv(BufWriter::new(io::stdout().lock()));
    writeln!(csv.0, "first,second,score")?;
    let linkage = Linkage::new(&parties, Threshold::new(threshold.parse()?)?)?;
    let outcome = linkage.run(&Meter::default(), &mut csv)?;
    csv.0.flush()?;
    eprintln!("{} pairs of {}, by {}: {}", outcome.pairs, outcome.comparisons, outcome.kernel, outcome.plan);
    Ok(())
}
