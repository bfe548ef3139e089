//! Manifests that the API server turns down, and what it says.

#[path = "../../crds/tests/verdicts/mod.rs"]
mod verdicts;

use anyhow::Context;
use tests::Story;
use tests::cluster::{Namespace, run as run_program};

fn project(spec: &str) -> String {
    format!(
        "{{apiVersion: pprl.dev/v1alpha1, kind: LinkageProject, metadata: {{name: p}}, spec: {{{spec}}}}}"
    )
}

/// A Paillier public key whose modulus has so many characters.
fn key(characters: usize) -> String {
    format!("kty: DAJ, alg: PAI-GN1, key_ops: [encrypt], modulus: {}", "_".repeat(characters))
}

fn run(spec: &str) -> String {
    format!("{{apiVersion: pprl.dev/v1alpha1, kind: LinkageRun, metadata: {{name: r}}, spec: {{{spec}}}}}")
}

/// The resources are all that is needed; no operator sees these.
async fn namespace(name: &str) -> anyhow::Result<Namespace> {
    let namespace = Namespace(format!("e2e-{name}"));
    let crds = concat!(env!("CARGO_MANIFEST_DIR"), "/../crds/yaml");
    namespace.kubectl(&["apply", "--server-side", "--force-conflicts", "--filename", crds]).await?;
    namespace.kubectl(&["wait", "--for=condition=Established", "--filename", crds, "--timeout=60s"]).await?;
    namespace.kubectl(&["delete", "namespace", &namespace.0, "--ignore-not-found"]).await?;
    namespace.kubectl(&["create", "namespace", &namespace.0]).await?;
    Ok(namespace)
}

#[tokio::test]
async fn what_cannot_work_is_turned_down_in_words() -> Story {
    let here = namespace("manifests").await?;
    let two = "parties: [{name: a}, {name: b}]";
    let long = "n".repeat(49);
    let cases = [
        (run("projectRef: {name: p}, threshold: 0"), "threshold must be above 0 and at most 1"),
        (run("projectRef: {name: p}, threshold: 1.5"), "threshold must be above 0 and at most 1"),
        (run("projectRef: {name: p}, threshold: -0.5"), "threshold must be above 0 and at most 1"),
        (run("projectRef: {name: p}, threshold: 0.8, fromRun: {name: r}"), "fromRun names the run itself"),
        (
            run("projectRef: {name: p}, threshold: 0.8, shards: 2, fromRun: {name: q}"),
            "shards cannot be given with fromRun",
        ),
        (
            run("projectRef: {name: p}, threshold: 0.8, solver: {mergeThreshold: 0}"),
            "mergeThreshold must be above 0 and at most 1",
        ),
        (
            run("projectRef: {name: p}, threshold: 0.8, solver: {mergeThreshold: 1.5}"),
            "mergeThreshold must be above 0 and at most 1",
        ),
        (
            run("projectRef: {name: p}, threshold: 0.8, solver: {algorithm: Optimal, mergeThreshold: 0.5}"),
            "are for algorithm Greedy",
        ),
        (
            run("projectRef: {name: p}, threshold: 0.8, solver: {algorithm: Optimal, oneToOne: true}"),
            "are for algorithm Greedy",
        ),
        (
            run("projectRef: {name: p}, threshold: 0.8, solver: {maxComponentRecords: 5}"),
            "maxComponentRecords is for algorithm Optimal",
        ),
        (
            run(
                "projectRef: {name: p}, threshold: 0.8, solver: {algorithm: Optimal, maxComponentRecords: 1}",
            ),
            "spec.solver.maxComponentRecords",
        ),
        (
            run("projectRef: {name: p}, threshold: 0.8, solver: {algorithm: Hungarian}"),
            "supported values: \"Greedy\"",
        ),
        (run("projectRef: {name: p}"), "spec.threshold: Required value"),
        (run("projectRef: {name: p}, treshold: 0.8"), "unknown field \"spec.treshold\""),
        (run("projectRef: {name: p}, threshold: 0.8, shards: 0"), "spec.shards"),
        (
            run("projectRef: {name: p}, threshold: 0.8").replace("name: r", &format!("name: {long}")),
            "48 characters",
        ),
        (
            run("projectRef: {name: p}, threshold: 0.8").replace("name: r", "name: study.v1"),
            "must not contain a dot",
        ),
        (
            project(&format!("resultType: Groups, {two}")).replace("name: p}", "name: registry.2025}"),
            "must not contain a dot",
        ),
        (run("projectRef: {name: p}, threshold: 0.8, formats: []"), "spec.formats"),
        (run("projectRef: {name: p}, threshold: 0.8, formats: [CSV, CSV]"), "Duplicate value: \"CSV\""),
        (run("projectRef: {name: p}, threshold: 0.8, formats: [XML]"), "supported values: \"JSON\""),
        (
            run("projectRef: {name: p}, threshold: 0.8, additionalResults: [Groups]"),
            "supported values: \"SimilarityScores\"",
        ),
        (project("resultType: Groups, parties: [{name: a}]"), "a linkage needs two parties or more"),
        (project("resultType: Groups, parties: [{name: a}, {name: a}]"), "Duplicate value: {\"name\":\"a\"}"),
        (project("resultType: Groups, parties: [{name: a}, {name: B}]"), "lower-case letters"),
        (
            project("resultType: Permutations, parties: [{name: a}, {name: b}, {name: c}]"),
            "for exactly two parties; use Groups or SimilarityScores for more",
        ),
        (
            project(&format!("resultType: Groups, {two}, paillierPublicKey: {{{}}}", key(342))),
            "encrypts the mask of Permutations",
        ),
        (
            project(&format!("resultType: Permutations, {two}, paillierPublicKey: {{{}}}", key(171))),
            "fewer than 2048 bits",
        ),
        (
            project(&format!(
                "resultType: Permutations, {two}, paillierPublicKey: {{{}}}",
                key(342).replace("DAJ", "RSA")
            )),
            "kty must be DAJ",
        ),
        (project(&format!("resultType: Matches, {two}")), "supported values: \"Groups\""),
        (project(&format!("resultType: Groups, {two}, partys: []")), "unknown field \"spec.partys\""),
        (project(&format!("resultType: Groups, {two}, encoding: {{bits: 1000}}")), "multiple of 64"),
        (
            project("resultType: Groups, parties: [{name: a, source: {encodings: projects/1/x}}, {name: b}]"),
            "must not lie below projects/ or runs/",
        ),
    ];
    for (manifest, expected) in cases {
        let answer = here.apply(&manifest).await?;
        assert!(!answer.succeeded, "accepted: {manifest}");
        assert!(answer.text.contains(expected), "{manifest}\nexpected: {expected}\ngot: {}", answer.text);
    }
    here.kubectl(&["delete", "namespace", &here.0]).await.map(drop)
}

#[tokio::test]
async fn what_was_decided_stays() -> Story {
    let here = namespace("immutable").await?;
    let original = project(
        "resultType: Groups, parties: [{name: a}, {name: b}], encoding: {bits: 1024, schema: {version: 3}}",
    );
    assert!(here.apply(&original).await?.succeeded);
    assert!(here.apply(&run("projectRef: {name: p}, threshold: 0.8")).await?.succeeded);
    let cases = [
        (original.replace("Groups", "Permutations"), "resultType cannot be changed"),
        (original.replace("{name: b}", "{name: c}"), "the number and the order of parties cannot be changed"),
        (
            original.replace("{name: b}", "{name: b}, {name: c}"),
            "the number and the order of parties cannot be changed",
        ),
        // with the first party's receipt token one would then read the second's permutation
        (
            original.replace("[{name: a}, {name: b}]", "[{name: b}, {name: a}]"),
            "the order of parties cannot be changed",
        ),
        (original.replace("1024", "512"), "encoding cannot be changed"),
        (original.replace("version: 3", "version: 2"), "encoding cannot be changed"),
        (
            original
                .replace("Groups", "Permutations")
                .replace("encoding:", &format!("paillierPublicKey: {{{}}}, encoding:", key(342))),
            "paillierPublicKey cannot be changed",
        ),
        (original.replace("encoding:", "blocking: ByBlockId, encoding:"), "blocking cannot be changed"),
        (run("projectRef: {name: q}, threshold: 0.8"), "projectRef cannot be changed"),
        (run("projectRef: {name: p}, threshold: 0.9"), "threshold cannot be changed"),
        (run("projectRef: {name: p}, threshold: 0.8, shards: 2"), "shards cannot be changed"),
        (
            run("projectRef: {name: p}, threshold: 0.8, resources: {limits: {memory: 1Gi}}"),
            "resources cannot be changed",
        ),
        (run("projectRef: {name: p}, threshold: 0.8, fromRun: {name: q}"), "fromRun cannot be changed"),
        (run("projectRef: {name: p}, threshold: 0.8, solver: {}"), "solver cannot be changed"),
        (run("projectRef: {name: p}, threshold: 0.8, formats: [CSV]"), "formats cannot be changed"),
        (
            run("projectRef: {name: p}, threshold: 0.8, additionalResults: [SimilarityScores]"),
            "additionalResults cannot be changed",
        ),
    ];
    for (manifest, expected) in cases {
        let answer = here.apply(&manifest).await?;
        assert!(!answer.succeeded, "accepted: {manifest}");
        assert!(answer.text.contains(expected), "{manifest}\nexpected: {expected}\ngot: {}", answer.text);
    }
    let rotated = original.replace("encoding:", "title: Hospitals, tokenGeneration: 2, encoding:");
    for manifest in [
        rotated.clone(),
        rotated.replace("{name: b}", "{name: b, source: {encodings: in/b.json}}"),
        run("projectRef: {name: p}, threshold: 0.8, suspend: true, ttlSecondsAfterFinished: 60"),
    ] {
        let answer = here.apply(&manifest).await?;
        assert!(answer.succeeded, "{manifest}: {}", answer.text);
    }
    let back = here.apply(&original).await?;
    assert!(back.text.contains("tokenGeneration can only be raised"), "{}", back.text);
    here.kubectl(&["delete", "namespace", &here.0]).await.map(drop)
}

/// The table is that of the unit test: what `scorer run` says of these files is asked there in words.
#[tokio::test]
async fn scorer_run_and_kubectl_apply_give_one_verdict_on_a_file() -> Story {
    let here = namespace("verdicts").await?;
    let scorer = std::env::var("SCORER_PROGRAM").context("run the tests by tests/e2e/run")?;
    let folder = tempfile::tempdir()?;
    let cases = verdicts::cases();
    for case in &cases {
        std::fs::write(folder.path().join(format!("{}.yaml", case.name)), &case.yaml)?;
    }
    let files = folder.path().to_string_lossy();
    let applied = here.try_kubectl(&["apply", "--dry-run=server", "--filename", &files], "").await?.text;
    let mut others = Vec::new();
    for verdicts::Case { name, what, told, .. } in &cases {
        let taken =
            |kind: &str| applied.contains(&format!("{kind}.pprl.dev/{name} created (server dry run)"));
        let by_kubectl = taken("linkageproject") && taken("linkagerun");
        // the data is not there, which is said of a file that is taken
        let file = format!("{files}/{name}.yaml");
        let run = run_program(&scorer, &["run", &file], "").await?;
        let by_scorer = !run.text.contains("cannot be used");
        if (by_kubectl, by_scorer) != (told.is_none(), told.is_none()) {
            let said = applied.lines().filter(|line| line.contains(name)).collect::<Vec<_>>();
            others.push(format!(
                "{name} ({what}), expected {told:?}: kubectl {said:?}; scorer run: {}",
                run.text
            ));
        }
    }
    assert!(others.is_empty(), "{}", others.join("\n"));
    here.kubectl(&["delete", "namespace", &here.0]).await.map(drop)
}
