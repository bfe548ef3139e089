//! How groups are formed, as a person asks for it: `spec.solver`, and `scorer deduplicate --merge-threshold`.
//!
//! The figures are those of other programs on the same data: anonlink's `probabilistic_greedy_solve`, and SciPy's
//! `linear_sum_assignment`.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::example;
use support::program::scorer;

/// Runs one of the registries' manifests, with `spec.solver` as this YAML, in a folder of its own.
struct Here {
    folder: tempfile::TempDir,
    result_type: &'static str,
    parties: &'static [&'static str],
}

impl Here {
    fn new(result_type: &'static str, parties: &'static [&'static str]) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), result_type, parties }
    }

    fn link(&self, threshold: f64, solver: &str) -> Result<String, String> {
        self.link_within(2 << 30, threshold, solver)
    }

    fn link_within(&self, memory_bytes: u64, threshold: f64, solver: &str) -> Result<String, String> {
        let party = |name: &&str| {
            let file = example(&format!("three-parties/{name}.json")).canonicalize().unwrap();
            format!("{{name: {name}, source: {{encodings: {}}}}}", file.display())
        };
        let parties: Vec<String> = self.parties.iter().map(party).collect();
        let manifests = format!(
            "apiVersion: pprl.dev/v1alpha1\nkind: LinkageProject\nmetadata: {{name: p}}\n\
             spec: {{resultType: {}, parties: [{}]}}\n---\n\
             apiVersion: pprl.dev/v1alpha1\nkind: LinkageRun\nmetadata: {{name: r}}\n\
             spec: {{projectRef: {{name: p}}, threshold: {threshold}{solver}}}\n",
            self.result_type,
            parties.join(", ")
        );
        self.run(memory_bytes, &manifests)
    }

    fn run(&self, memory_bytes: u64, manifests: &str) -> Result<String, String> {
        let file = self.folder.path().join("link.yaml");
        std::fs::write(&file, manifests).unwrap();
        let mut command = scorer(&["run", "--force", "--memory-limit", &memory_bytes.to_string()]);
        let output = command.arg(file).current_dir(self.folder.path()).output().unwrap();
        let (said, told) = (output.stdout, output.stderr);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        if output.status.success() { Ok(text(said)) } else { Err(text(told)) }
    }

    fn result(&self, name: &str) -> Value {
        let file = self.folder.path().join(format!("r-{name}.json"));
        serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
    }

    fn groups(&self, threshold: f64, solver: &str) -> Vec<Value> {
        self.link(threshold, solver).unwrap();
        self.result("groups")["groups"].as_array().unwrap().clone()
    }

    /// How many groups there are of each size.
    fn sizes(&self, threshold: f64, solver: &str) -> BTreeMap<usize, usize> {
        let mut sizes = BTreeMap::new();
        for group in self.groups(threshold, solver) {
            *sizes.entry(group.as_array().unwrap().len()).or_default() += 1;
        }
        sizes
    }
}

const THREE: &[&str] = &["north", "south", "west"];
const TWO: &[&str] = &["north", "south"];

#[test]
fn half_of_the_pairs_suffice_if_so_asked() {
    let here = Here::new("Groups", THREE);
    assert_eq!(here.sizes(0.8, ""), BTreeMap::from([(2, 374), (3, 403)]));
    for same in [", solver: {}", ", solver: {mergeThreshold: 1, oneToOne: false}"] {
        assert_eq!(here.sizes(0.8, same), BTreeMap::from([(2, 374), (3, 403)]), "{same}");
    }
    assert_eq!(here.sizes(0.8, ", solver: {mergeThreshold: 0.5}"), BTreeMap::from([(2, 331), (3, 446)]));
}

#[test]
fn several_records_of_a_party_are_in_a_group_only_if_so_asked() {
    let here = Here::new("Groups", THREE);
    let one = ", solver: {mergeThreshold: 0.25, oneToOne: true}";
    assert_eq!(here.sizes(0.7, one), BTreeMap::from([(2, 324), (3, 531)]));
    let several = ", solver: {mergeThreshold: 0.25, oneToOne: false}";
    let expected = [(2, 248), (3, 405), (4, 86), (5, 38), (6, 11), (7, 3), (8, 3), (9, 1)];
    assert_eq!(here.sizes(0.7, several), BTreeMap::from(expected));
}

#[test]
fn optimal_groups_have_the_greatest_sum_of_scores() {
    let scores = Here::new("SimilarityScores", TWO);
    scores.link(0.7, "").unwrap();
    let scores = scores.result("similarity_scores")["similarity_scores"].as_array().unwrap().clone();
    let score = |pair: &Value| {
        let of_pair = |scored: &&Value| (&scored[0], &scored[1]) == (&pair[0], &pair[1]);
        scores.iter().find(of_pair).unwrap()[2].as_f64().unwrap()
    };
    let here = Here::new("Groups", TWO);
    for (solver, number, sum) in [
        (", solver: {algorithm: Greedy}", 630, 570.300_122_257_798_3),
        (", solver: {algorithm: Optimal}", 633, 571.903_698_967_439_7),
        (", solver: {algorithm: Optimal, maxComponentRecords: 2}", 630, 570.300_122_257_798_3),
    ] {
        let groups = here.groups(0.7, solver);
        let found: f64 = groups.iter().map(score).sum();
        assert_eq!(groups.len(), number, "{solver}");
        assert!((found - sum).abs() < 1e-9, "{solver}: {found}");
    }
    let permuted = Here::new("Permutations", TWO);
    permuted.link(0.7, ", solver: {algorithm: Optimal}").unwrap();
    let matches = permuted.result("mask")["mask"].as_array().unwrap().iter().filter(|bit| **bit == 1).count();
    assert_eq!(matches, 633);
}

#[test]
fn what_was_too_large_for_optimal_is_said() {
    let here = Here::new("Groups", TWO);
    let said = here.link(0.7, ", solver: {algorithm: Optimal}").unwrap();
    assert!(said.contains("components   555, the largest of 43 records\n"), "{said}");
    assert!(!said.contains("greedily"), "{said}");
    let said = here.link(0.7, ", solver: {algorithm: Optimal, maxComponentRecords: 42}").unwrap();
    assert!(said.contains("greedily     1 components with 43 records and "), "{said}");
}

#[test]
fn a_component_that_does_not_fit_the_memory_is_refused_with_the_way_out() {
    let here = Here::new("Groups", TWO);
    // every record is connected with every other, by 416,924 pairs
    let optimal = ", solver: {algorithm: Optimal}";
    let told = here.link_within(96 << 20, 0.6, optimal).unwrap_err();
    assert!(told.contains("2000 records") && told.contains("lower maxComponentRecords"), "{told}");
    let bounded = ", solver: {algorithm: Optimal, maxComponentRecords: 1999}";
    assert!(here.link_within(96 << 20, 0.6, bounded).unwrap().contains("groups       978\n"));
    assert!(here.link(0.6, optimal).unwrap().contains("groups       1,000\n"));
}

#[test]
fn the_examples_solvers_form_these_groups() {
    // the manifests are for a cluster; here the parties' files take the place of uploads
    let with_files = |folder: &str| {
        let text = |file: &str| {
            let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
            std::fs::read_to_string(examples.join(folder).join(file)).unwrap()
        };
        let mut manifests = format!("{}---\n{}", text("project.yaml"), text("run.yaml"));
        for party in THREE {
            let file: PathBuf = example(&format!("three-parties/{party}.json")).canonicalize().unwrap();
            let source = format!("- name: {party}\n      source: {{encodings: {}}}", file.display());
            manifests = manifests.replace(&format!("- name: {party}"), &source);
        }
        let here = Here::new("Groups", TWO);
        here.run(2 << 30, &manifests).unwrap()
    };
    assert!(with_files("optimal").contains("groups       633\n"));
    assert!(with_files("merge-threshold").contains("groups       777\n"));
}

#[test]
fn solvers_that_make_no_sense_are_refused_with_the_way_out() {
    for (result_type, parties, solver, why) in [
        ("SimilarityScores", TWO, "{}", "of which none are; create a run without solver"),
        ("Groups", THREE, "{algorithm: Optimal}", "exactly two parties, and the project has 3"),
        ("Permutations", TWO, "{oneToOne: false}", "create a run without oneToOne"),
        ("Groups", TWO, "{mergeThreshold: 0}", "mergeThreshold must be above 0 and at most 1"),
        ("Groups", TWO, "{algorithm: Optimal, mergeThreshold: 0.5}", "are for algorithm Greedy"),
        ("Groups", TWO, "{maxComponentRecords: 5}", "is for algorithm Optimal"),
        ("Groups", TWO, "{algorithm: Optimal, maxComponentRecords: 1}", "maxComponentRecords"),
    ] {
        let told = Here::new(result_type, parties).link(0.8, &format!(", solver: {solver}")).unwrap_err();
        assert!(told.contains(why), "{why}: {told}");
    }
}

#[test]
fn deduplication_takes_a_share_of_the_pairs_too() {
    let folder = tempfile::tempdir().unwrap();
    // of four records all are similar but the first and the last
    let bits = [0b1111_1111_0000u64, 0b0111_1111_1000, 0b0011_1111_1100, 0b0001_1111_1110];
    let bytes: Vec<u8> = bits.iter().flat_map(|bits| bits.to_le_bytes()).collect();
    std::fs::write(folder.path().join("x.clk"), bytes).unwrap();
    let run = |more: &[&str]| {
        let arguments = ["deduplicate", "x.clk", "--bits", "64", "--threshold", "0.75", "--force"];
        scorer(&arguments).args(more).current_dir(folder.path()).output().unwrap()
    };
    let sizes = |more: &[&str]| {
        let output = run(more);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let groups: Value =
            serde_json::from_slice(&std::fs::read(folder.path().join("x-groups.json")).unwrap()).unwrap();
        let groups = groups["groups"].as_array().unwrap();
        groups.iter().map(|group| group.as_array().unwrap().len()).collect::<Vec<_>>()
    };
    assert_eq!(sizes(&[]), [2, 2]);
    assert_eq!(sizes(&["--merge-threshold", "0.75"]), [4]);
    for (more, why) in [
        (&["--merge-threshold", "0"][..], "above 0 and at most 1"),
        (&["--merge-threshold", "half"], "no number"),
        (&["--merge-threshold", "0.5", "--result", "similarity-scores"], "leave it out"),
    ] {
        let told = String::from_utf8(run(more).stderr).unwrap();
        assert!(told.contains(why), "{why}: {told}");
    }
}
