//! How similar the records of a complete run are, and what to expect of thresholds: streamed from the store, as the scorer
//! has written it there.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use utoipa::ToSchema;

use crate::App;
use crate::access::allowed::{Allowed, RunPath};
use crate::access::audit::{self, Action};
use crate::access::who::{Analyst, Who};
use crate::document::problems::{ServiceProblems, TokenProblems};
use crate::document::values::Score;
use crate::endpoints::results::CompleteRun;
use crate::error::{Error, Problem};
use crate::limits::body::JSON;

/// How many pairs of records have which scores, and what is estimated from that.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the document alone")]
pub struct ScoreHistogram {
    /// The run's threshold.
    threshold: Score,
    /// Where the first bin begins.
    floor: Score,
    /// How wide a bin is. The last one ends with 1, which it includes.
    bin_width: Score,
    /// For each two parties.
    histograms: Vec<PartiesHistogram>,
    /// What to expect of thresholds, over all parties, by ascending threshold. Empty where the method does not apply.
    estimates: Vec<ThresholdEstimate>,
    /// The threshold at which precision and recall are best balanced. It is never applied by itself.
    suggestion: Option<ThresholdSuggestion>,
    /// How this was estimated, and under which assumptions.
    method: String,
    /// Why there are no estimates, if there are none.
    reason: Option<String>,
}

/// How many pairs of records of two parties have which scores.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the document alone")]
pub struct PartiesHistogram {
    /// The two parties, by their positions in the project.
    #[schema(min_items = 2, max_items = 2)]
    datasets: Vec<u32>,
    /// Pairs with a score of each bin: from `floor + i * bin_width` on, below where the next one begins.
    #[schema(value_type = Vec<f64>)]
    counts: Vec<f64>,
    /// From this score on all pairs are counted; below, the counts are estimated from a sample.
    exact_from: Score,
    /// The share of the smaller party's records that is sampled.
    #[schema(minimum = 0, maximum = 1)]
    sampled_share: f64,
}

/// What to expect of one threshold, for pairs of records before groups are formed of them.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the document alone")]
pub struct ThresholdEstimate {
    threshold: Score,
    /// Pairs at or above it; a fraction where they are estimated.
    #[schema(minimum = 0)]
    pairs: f64,
    /// Which share of these are matches.
    #[schema(minimum = 0, maximum = 1)]
    precision: f64,
    /// Which share of the matches is at or above it.
    #[schema(minimum = 0, maximum = 1)]
    recall: f64,
}

/// A threshold that may be worth a run.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the document alone")]
pub struct ThresholdSuggestion {
    threshold: Score,
    /// Which share of its pairs are matches.
    #[schema(minimum = 0, maximum = 1)]
    precision: f64,
    /// Which share of the matches is at or above it.
    #[schema(minimum = 0, maximum = 1)]
    recall: f64,
    /// Why this one.
    reason: String,
}

/// How similar the records are, and what to expect of other thresholds.
///
/// Whether there is a histogram is told to the holder of any of the project's tokens, as with the result.
#[utoipa::path(get, path = "/projects/{project_id}/runs/{run_id}/histogram", tag = "runs",
    operation_id = "run_histogram", params(RunPath), security(("result_token" = [])),
    responses(TokenProblems, ServiceProblems,
        (status = 200, description = "The histogram", body = ScoreHistogram),
        (status = 404, body = Problem, content_type = "application/problem+json",
            description = "The run is not complete, or of a version that recorded no histograms"),
        (status = 500, body = Problem, content_type = "application/problem+json",
            description = "The run has failed; or the service failed")))]
pub async fn download(
    State(app): State<Arc<App>>,
    Allowed { who, project, on: CompleteRun(run) }: Allowed<Analyst, CompleteRun>,
) -> Result<Response, Error> {
    let scores = run.status.as_ref().and_then(|status| status.scores.as_ref()).ok_or(Error::NoHistogram)?;
    let (info, reader) = app.surroundings.of_store(app.store.get(&scores.key)).await?;
    audit::record(who.actor(), Action::ReadHistogram, &project, run.metadata.name.as_deref());
    let headers = [(CONTENT_TYPE, JSON.to_owned()), (CONTENT_LENGTH, info.bytes.to_string())];
    Ok((headers, Body::from_stream(reader)).into_response())
}
