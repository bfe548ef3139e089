//! Results and histograms. What is sent is what the scorer writes, byte for byte: so its writers are asked here.

use crds::tokens::Role;
use scorer::advice::{Advice, Estimate, Histogram, METHOD, Scores, Suggestion};
use scorer::pairs::Pair;
use scorer::plan::ResultFormat;
use scorer::result::{Permutations, Seed, SimilarityScoresWriter, write_groups_as};
use scorer::solve::{GreedySolver, Groups, ScoresWithin};
use serde_json::json;

use super::Transcript;
use super::projects::refusals;
use crate::s3::{grants, in_child_with_credentials};
use crate::service::{Created, Service};

const FORMATS: [(ResultFormat, &str); 4] = [
    (ResultFormat::Json, "JSON"),
    (ResultFormat::Csv, "CSV"),
    (ResultFormat::Ndjson, "NDJSON"),
    (ResultFormat::Parquet, "Parquet"),
];

fn parties() -> Vec<String> {
    vec!["party-1".into(), "party-2".into()]
}

fn pair(record0: u32, record1: u32, score: f64) -> Pair {
    Pair { score, dataset0: 0, dataset1: 1, record0, record1 }
}

fn groups() -> (Groups, ScoresWithin) {
    let mut solver = GreedySolver::new(&[3, 2]).unwrap().keep_scores();
    solver.add(&pair(2, 0, 1.0)).unwrap();
    solver.add(&pair(0, 1, 0.875)).unwrap();
    solver.finish_with_scores()
}

fn groups_as(format: ResultFormat) -> Vec<u8> {
    let (groups, scores) = groups();
    write_groups_as(Vec::new(), format, &groups, &scores, &parties()).unwrap()
}

fn scores(format: ResultFormat) -> Vec<u8> {
    let parties = parties();
    let mut writer = SimilarityScoresWriter::new(Vec::new(), format, &parties).unwrap();
    writer.pair(&pair(2, 0, 1.0)).unwrap();
    writer.pair(&pair(0, 1, 0.875)).unwrap();
    writer.finish().unwrap()
}

/// What a run has written: name, format, content.
type Written = Vec<(&'static str, &'static str, Vec<u8>)>;

fn groups_and_scores() -> Written {
    let mut written = Vec::new();
    for (format, name) in FORMATS {
        written.push(("groups", name, groups_as(format)));
        written.push(("similarity_scores", name, scores(format)));
    }
    written
}

fn permutations() -> Written {
    let permutations = Permutations::new(&groups().0, &Seed([7; 32])).unwrap();
    let of = |dataset| permutations.write_permutation_as(dataset, Vec::new(), ResultFormat::Json).unwrap();
    vec![
        ("mask", "JSON", permutations.write_mask_as(Vec::new(), ResultFormat::Json).unwrap()),
        ("permutation-0", "JSON", of(0)),
        ("permutation-1", "JSON", of(1)),
    ]
}

fn histogram() -> Scores {
    let estimate = Estimate { threshold: 0.8, pairs: 2.5, precision: 0.9, recall: 0.95 };
    let reason = "precision and recall are best balanced".into();
    let suggestion = Suggestion { threshold: 0.8, precision: 0.9, recall: 0.95, reason };
    let advice = Advice {
        estimates: vec![estimate],
        suggestion: Some(suggestion),
        method: METHOD.into(),
        reason: None,
    };
    let histogram =
        Histogram { datasets: [0, 1], counts: vec![0.5, 2.0], exact_from: 0.8, sampled_share: 0.02 };
    Scores { threshold: 0.8, floor: 0.6, bin_width: 0.2, histograms: vec![histogram], advice }
}

fn put(service: &Service, key: &str, content: &[u8]) {
    let file = service.store.path().join(key);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, content).unwrap();
}

/// Completes a run with what it has written.
fn complete(service: &Service, run: &str, written: Written) {
    let results = written.into_iter().map(|(name, format, content)| {
        let key = format!("runs/{run}/result/{name}.{format}");
        put(service, &key, &content);
        let blake3 = blake3::hash(&content).to_hex().to_string();
        json!({"name": name, "format": format, "key": key, "bytes": content.len(), "blake3": blake3})
    });
    let results: Vec<_> = results.collect();
    let key = format!("runs/{run}/result/scores.json");
    put(service, &key, &serde_json::to_vec(&histogram()).unwrap());
    let scores = json!({"floor": 0.6, "binWidth": 0.2, "counts": [0, 2], "exactFrom": 0.8, "sampledShare": 0.02, "key": key});
    service.kubernetes.change("linkageruns", run, |run| {
        run["status"] = json!({"stage": "Complete", "results": results, "scores": scores});
    });
}

async fn with_run(
    service: &Service,
    transcript: &mut Transcript,
    result_type: &str,
    what: &str,
) -> (Created, String, String) {
    let (project, run, path) = service.project_with_run(result_type, what).await;
    transcript.name_project(&project);
    transcript.name(&run, "RUN");
    (project, run, path)
}

/// What is answered before there is a result, to whoever asks with any token.
async fn before(transcript: &mut Transcript, service: &Service, run: &str, path: &str, token: &str) {
    transcript.call("the run is not complete", "GET", path).token(token).of(service).await;
    service.kubernetes.change("linkageruns", run, |run| run["status"] = json!({"stage": "Failed"}));
    transcript.call("the run has failed", "GET", path).token(token).of(service).await;
}

/// What is common to all that can be downloaded.
async fn downloads(transcript: &mut Transcript, service: &Service, path: &str, token: &str) {
    let whole = transcript.call("the whole", "GET", path).token(token).of(service).await;
    let etag = whole.headers["etag"].to_str().unwrap().to_owned();
    transcript.call("its headers", "HEAD", path).token(token).of(service).await;
    transcript.call("a part", "GET", path).token(token).header("range", "bytes=5-9").of(service).await;
    let call = transcript.call("the rest, if it is the same", "GET", path).token(token);
    call.header("range", "bytes=5-").header("if-range", &etag).of(service).await;
    let call = transcript.call("a part that it does not have", "GET", path).token(token);
    call.header("range", "bytes=100000-").of(service).await;
    let call = transcript.call("what is known already", "GET", path).token(token);
    call.header("if-none-match", &etag).of(service).await;
}

#[tokio::test]
async fn the_result_of_a_run() {
    let mut transcript = Transcript::new();
    let service = Service::new();
    let (project, run, path) = with_run(&service, &mut transcript, "groups", "result").await;
    before(&mut transcript, &service, &run, &path, &project.result).await;
    complete(&service, &run, groups_and_scores());
    downloads(&mut transcript, &service, &path, &project.result).await;
    for media_type in ["text/csv", "application/x-ndjson", "application/vnd.apache.parquet", "image/png"] {
        let call = transcript.call("by Accept", "GET", &path).token(&project.result);
        call.header("accept", media_type).of(&service).await;
    }
    refusals(&mut transcript, &service, "GET", &path, &project.result).await;

    let (project, run, path) = with_run(&service, &mut transcript, "similarity_scores", "result").await;
    complete(&service, &run, vec![("similarity_scores", "JSON", scores(ResultFormat::Json))]);
    transcript.call("similarity scores", "GET", &path).token(&project.result).of(&service).await;
    let call =
        transcript.call("their address, where that is switched off", "GET", &path).token(&project.result);
    call.header("return-object-store-address", "true").of(&service).await;

    let (project, run, path) = with_run(&service, &mut transcript, "permutations", "result").await;
    complete(&service, &run, permutations());
    transcript.call("the mask", "GET", &path).token(&project.result).of(&service).await;
    for party in ["party-1", "party-2"] {
        let receipt = service.token(&project.id, Role::Receipt(party));
        transcript.name(&receipt, "RECEIPT-TOKEN");
        transcript.call("a party's permutation", "GET", &path).token(&receipt).of(&service).await;
    }
    transcript.check("run_result");
}

#[test]
fn the_address_of_a_result() {
    if !in_child_with_credentials("contract::results::the_address_of_a_result") {
        return;
    }
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let mut transcript = Transcript::new();
        let grants = grants().await;
        let service = Service::with(|app, _| app.grants = Some(grants));
        for (result_type, what) in [("similarity_scores", "result"), ("groups", "similarity-scores")] {
            let (project, run, path) = with_run(&service, &mut transcript, result_type, what).await;
            complete(&service, &run, groups_and_scores());
            let call =
                transcript.call("where the similarity scores are", "GET", &path).token(&project.result);
            call.header("return-object-store-address", "true").of(&service).await;
        }
        transcript.check("run_result_address");
    });
}

#[tokio::test]
async fn the_similarity_scores_of_a_run() {
    let mut transcript = Transcript::new();
    let service = Service::new();
    let (project, run, path) = with_run(&service, &mut transcript, "groups", "similarity-scores").await;
    before(&mut transcript, &service, &run, &path, &project.result).await;
    complete(&service, &run, vec![("groups", "JSON", groups_as(ResultFormat::Json))]);
    transcript.call("there are none", "GET", &path).token(&project.result).of(&service).await;
    complete(&service, &run, groups_and_scores());
    downloads(&mut transcript, &service, &path, &project.result).await;
    let call = transcript.call("in a format that does not exist", "GET", &path).token(&project.result);
    call.header("accept", "image/png").of(&service).await;
    refusals(&mut transcript, &service, "GET", &path, &project.result).await;
    transcript.check("run_similarity_scores");
}

#[tokio::test]
async fn a_result_by_the_name_of_its_file() {
    let mut transcript = Transcript::new();
    let service = Service::new();
    let (project, run, path) = with_run(&service, &mut transcript, "groups", "result.csv").await;
    before(&mut transcript, &service, &run, &path, &project.result).await;
    let unknown = path.replace("result.csv", "result.xml");
    transcript.call("a file that does not exist", "GET", &unknown).token(&project.result).of(&service).await;
    complete(&service, &run, vec![("groups", "JSON", b"{\"groups\":[]}".to_vec())]);
    transcript.call("a format that was not written", "GET", &path).token(&project.result).of(&service).await;
    complete(&service, &run, groups_and_scores());
    downloads(&mut transcript, &service, &path, &project.result).await;
    for file in
        ["result.json", "result.ndjson", "result.parquet", "similarity-scores.json", "similarity-scores.csv"]
    {
        let path = path.replace("result.csv", file);
        transcript.call("another file", "GET", &path).token(&project.result).of(&service).await;
    }
    refusals(&mut transcript, &service, "GET", &path, &project.result).await;
    transcript.check("run_result_file");
}

#[tokio::test]
async fn the_histogram_of_a_run() {
    let mut transcript = Transcript::new();
    let service = Service::new();
    let (project, run, path) = with_run(&service, &mut transcript, "groups", "histogram").await;
    before(&mut transcript, &service, &run, &path, &project.result).await;
    service.kubernetes.change("linkageruns", &run, |run| run["status"] = json!({"stage": "Complete"}));
    transcript.call("there is none", "GET", &path).token(&project.result).of(&service).await;
    complete(&service, &run, groups_and_scores());
    transcript.call("the histogram", "GET", &path).token(&project.result).of(&service).await;
    refusals(&mut transcript, &service, "GET", &path, &project.result).await;
    transcript.check("run_histogram");
}
