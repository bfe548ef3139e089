//! How similar the records of a run are, and what a threshold would make of them: without knowing the truth.
//!
//! [`Bins`] divide the scores, [`Scores`] is the document with the histograms and what is estimated from them, and
//! [`advise`] does the estimating, by the model of [`neighbours`]. Nothing here changes what a run finds; a threshold is
//! suggested, never applied.
//!
//! Knows numbers alone: no encoding, no store.

mod bins;
mod document;
mod estimate;
pub mod neighbours;
mod plot;

pub use bins::Bins;
pub use document::{Advice, Estimate, Histogram, METHOD, Scores, ScoresSummary, Suggestion};
pub use estimate::advise;
pub use neighbours::Neighbours;
pub use plot::svg;
