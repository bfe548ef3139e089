//! `scorer run`, as a person uses it.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod support;

use std::path::Path;
use std::process::Output;

use serde_json::Value;
use support::example;
use support::program::scorer;

/// Two manifests; `parties` is a YAML list.
fn manifests(result_type: &str, parties: &str, more_project: &str, more_run: &str) -> String {
    format!(
        "apiVersion: pprl.dev/v1alpha1\nkind: LinkageProject\nmetadata: {{name: project}}\n\
         spec:\n  resultType: {result_type}\n  parties: {parties}\n{more_project}\n---\n\
         apiVersion: pprl.dev/v1alpha1\nkind: LinkageRun\nmetadata: {{name: first}}\n\
         spec: {{projectRef: {{name: project}}, threshold: 0.8{more_run}}}\n"
    )
}

fn party(name: &str, file: &Path) -> String {
    format!("{{name: {name}, source: {{encodings: {}}}}}", file.display())
}

fn two(folder: &str) -> String {
    let file = |name: &str| example(&format!("{folder}/hospital-{name}.json")).canonicalize().unwrap();
    format!("[{}, {}]", party("a", &file("a")), party("b", &file("b")))
}

/// Runs in a new folder, where the result is written.
struct Here {
    folder: tempfile::TempDir,
}

impl Here {
    fn with(manifests: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("link.yaml"), manifests).unwrap();
        Self { folder }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = scorer(&["run", "link.yaml"]);
        command.args(arguments).current_dir(self.folder.path()).output().unwrap()
    }

    fn text(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(file)).unwrap()
    }

    fn json(&self, file: &str) -> Value {
        serde_json::from_str(&self.text(file)).unwrap()
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert_eq!(output.stdout, b"");
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.starts_with("error: "), "{message}");
        message
    }
}

fn expected(data: &str, figure: &str) -> Value {
    let text = std::fs::read_to_string(example("expected.json")).unwrap();
    serde_json::from_str::<Value>(&text).unwrap()[data]["0.8"][figure].clone()
}

#[track_caller]
fn succeeds(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn groups_are_those_of_anonlink() {
    let here = Here::with(&manifests("Groups", &two("thousand"), "", ""));
    let said = succeeds(&here.run(&[]));
    let groups = here.json("first-groups.json")["groups"].as_array().unwrap().len();
    assert_eq!(expected("thousand", "groups"), groups);
    assert_eq!(here.files(), ["first-groups.json", "link.yaml"]);
    for line in [
        "records      1,000 (a), 1,000 (b)",
        "comparisons  1,000,000",
        "pairs        948",
        "groups       948",
    ] {
        assert!(said.contains(line), "{said}");
    }
}

#[test]
fn the_example_for_a_laptop_runs_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/laptop/linkage.yaml");
    let file = file.canonicalize().unwrap();
    let output = scorer(&["run"]).arg(file).current_dir(folder.path()).output().unwrap();
    succeeds(&output);
    let text = std::fs::read_to_string(folder.path().join("laptop-at-80-groups.json")).unwrap();
    let result: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(expected(".", "groups"), result["groups"].as_array().unwrap().len());
}

#[test]
fn three_parties() {
    let file = |name: &str| example(&format!("three-parties/{name}.json")).canonicalize().unwrap();
    let parties = ["north", "south", "west"].map(|name| party(name, &file(name))).join(", ");
    let here = Here::with(&manifests("Groups", &format!("[{parties}]"), "", ""));
    succeeds(&here.run(&[]));
    let groups = here.json("first-groups.json")["groups"].as_array().unwrap().len();
    assert_eq!(expected("three-parties", "groups"), groups);
}

#[test]
fn blocks_limit_what_is_compared() {
    let here = Here::with(&manifests("SimilarityScores", &two("blocked"), "  blocking: ByBlockId", ""));
    let said = succeeds(&here.run(&["--output", "scores.json"]));
    assert!(said.contains("comparisons  6,828"), "{said}");
    let scores = here.json("scores.json")["similarity_scores"].as_array().unwrap().clone();
    assert_eq!(expected("blocked", "candidate_pairs"), scores.len());
    let values: Vec<f64> = scores.iter().map(|pair| pair[2].as_f64().unwrap()).collect();
    assert!(values.is_sorted_by(|a, b| a >= b) && values.iter().all(|score| (0.8..=1.0).contains(score)));
}

#[test]
fn records_without_a_block_are_compared_with_none_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| {
        let text = std::fs::read_to_string(example(&format!("thousand/hospital-{name}.json"))).unwrap();
        let clks = serde_json::from_str::<Value>(&text).unwrap()["clks"].as_array().unwrap().clone();
        // the first ten have a block each; the value of all others is missing
        let with_block = |(at, clk): (usize, Value)| match at {
            0..10 => serde_json::json!([clk, "", format!("b{at}")]),
            _ => serde_json::json!([clk, ""]),
        };
        let records: Vec<Value> = clks.into_iter().enumerate().map(with_block).collect();
        let path = folder.path().join(format!("{name}.json"));
        std::fs::write(&path, serde_json::json!({"clknblocks": records}).to_string()).unwrap();
        path
    };
    let parties = format!("[{}, {}]", party("a", &file("a")), party("b", &file("b")));
    let here = Here::with(&manifests("Groups", &parties, "  blocking: ByBlockId", ""));
    let said = succeeds(&here.run(&[]));
    assert!(said.contains("no block     990 (a), 990 (b): compared with none"), "{said}");
    assert!(said.contains("comparisons  10\n"), "{said}");
    let output = scorer(&["deduplicate", "-t", "0.8", "--blocks"])
        .arg(file("a"))
        .arg(file("a"))
        .current_dir(folder.path())
        .output()
        .unwrap();
    let said = succeeds(&output);
    assert!(
        said.contains("no block     990 (a): compared with none") && said.contains("comparisons  0\n"),
        "{said}"
    );
}

#[test]
fn permutations_put_matches_in_the_same_place() {
    let here = Here::with(&manifests("Permutations", &two("thousand"), "", ""));
    let said = succeeds(&here.run(&["-o", "out"]));
    assert!(said.contains("matches      948"), "{said}");
    let numbers = |file: &str, field: &str| -> Vec<u64> {
        let list = here.json(&format!("out/first-{file}.json"))[field].as_array().unwrap().clone();
        list.iter().map(|number| number.as_u64().unwrap()).collect()
    };
    let mask = numbers("mask", "mask");
    assert_eq!((mask.len(), mask.iter().sum::<u64>()), (1000, 948));
    for file in ["permutation-0", "permutation-1"] {
        let mut positions = numbers(file, "permutation");
        positions.sort_unstable();
        assert!(positions.into_iter().eq(0..1000));
    }
    // drawn anew each time
    let before = here.text("out/first-mask.json");
    succeeds(&here.run(&["-o", "out", "--force"]));
    assert_ne!(before, here.text("out/first-mask.json"));
}

#[test]
fn neither_shards_nor_memory_nor_the_form_of_the_data_change_the_result() {
    let whole = Here::with(&manifests("SimilarityScores", &two("."), "", ""));
    succeeds(&whole.run(&[]));
    let sharded = Here::with(&manifests("SimilarityScores", &two("."), "", ", shards: 7"));
    succeeds(&sharded.run(&["--memory-limit", "70000000"]));
    assert!(whole.text("first-similarity_scores.json") == sharded.text("first-similarity_scores.json"));

    let raw = two(".").replace(".json", ".bin");
    let raw = Here::with(&manifests("SimilarityScores", &raw, "  encoding: {bits: 1024}", ""));
    succeeds(&raw.run(&[]));
    assert!(whole.text("first-similarity_scores.json") == raw.text("first-similarity_scores.json"));
}

/// Encodings of 64 bytes, of which those with the same number are similar across data sets.
fn similar_encodings(data_set: u64, records: u64) -> Vec<[u8; 64]> {
    let byte = |seed: u64| (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8;
    (0..records)
        .map(|record| {
            let mut encoding = [0; 64];
            for (place, value) in encoding.iter_mut().enumerate() {
                *value = byte(record * 64 + place as u64 + 1);
            }
            for flip in 0..(data_set + record) % 7 {
                encoding[(flip * 9) as usize] = byte(data_set * 1_000 + record * 10 + flip);
            }
            encoding
        })
        .collect()
}

/// Every pair of records of different data sets at or above .8, by descending score, then by the indices.
fn all_pairs(data_sets: &[Vec<[u8; 64]>]) -> Vec<Value> {
    let ones = |encoding: &[u8; 64]| encoding.iter().map(|byte| byte.count_ones()).sum::<u32>();
    let mut pairs = Vec::new();
    for (first, second) in (0..data_sets.len()).flat_map(|a| (a + 1..data_sets.len()).map(move |b| (a, b))) {
        for (i, a) in data_sets[first].iter().enumerate() {
            for (j, b) in data_sets[second].iter().enumerate() {
                let common: u32 = a.iter().zip(b).map(|(a, b)| (a & b).count_ones()).sum();
                let score = f64::from(2 * common) / f64::from(ones(a) + ones(b));
                if score >= 0.8 {
                    pairs.push((score, [first, second, i, j]));
                }
            }
        }
    }
    pairs.sort_by(|(a, places), (b, others)| b.total_cmp(a).then(places.cmp(others)));
    pairs.into_iter().map(|(score, [a, b, i, j])| serde_json::json!([[a, i], [b, j], score])).collect()
}

#[test]
fn similarity_scores_of_several_parties_are_those_of_every_pair_of_parties() {
    let data_sets: Vec<_> =
        [40, 31, 57, 2].iter().zip(0..).map(|(n, set)| similar_encodings(set, *n)).collect();
    let names = ["a", "b", "c", "d"];
    let parties: Vec<_> = names.iter().map(|name| party(name, Path::new(&format!("{name}.json")))).collect();
    let expected = all_pairs(&data_sets);
    assert!(expected.len() > 60, "{}", expected.len());
    for shards in ["", ", shards: 5"] {
        let manifests = manifests("SimilarityScores", &format!("[{}]", parties.join(", ")), "", shards);
        let here = Here::with(&manifests);
        for (name, encodings) in names.iter().zip(&data_sets) {
            let encodings = encodings.iter().map(|encoding| base64_simd::STANDARD.encode_to_string(encoding));
            let upload = serde_json::json!({"clks": encodings.collect::<Vec<_>>()});
            std::fs::write(here.folder.path().join(format!("{name}.json")), upload.to_string()).unwrap();
        }
        succeeds(&here.run(&[]));
        assert_eq!(
            here.json("first-similarity_scores.json")["similarity_scores"],
            Value::Array(expected.clone())
        );
    }
}

#[test]
fn nothing_is_overwritten_unasked() {
    let here = Here::with(&manifests("Groups", &two("thousand"), "", ""));
    std::fs::write(here.folder.path().join("first-groups.json"), "mine").unwrap();
    let message = here.refused(&[]);
    assert!(message.contains("first-groups.json exists already") && message.contains("--force"), "{message}");
    assert_eq!(here.text("first-groups.json"), "mine");
    succeeds(&here.run(&["--force"]));
    assert_ne!(here.text("first-groups.json"), "mine");
}

#[test]
fn temporary_files_are_gone_afterwards() {
    let here = Here::with(&manifests("Groups", &two("thousand"), "", ""));
    std::fs::create_dir(here.folder.path().join("tmp")).unwrap();
    succeeds(&here.run(&["--data-dir", "tmp"]));
    assert_eq!(std::fs::read_dir(here.folder.path().join("tmp")).unwrap().count(), 0);
}

#[test]
fn an_interrupted_run_leaves_nothing() {
    let here = Here::with(&manifests(
        "Groups",
        "[{name: a, source: {encodings: raw}}, {name: b, source: {encodings: raw}}]",
        "  encoding: {bits: 8192}",
        "",
    ));
    std::fs::write(here.folder.path().join("raw"), vec![0x5a; 40_000 * 1024]).unwrap();
    std::fs::create_dir(here.folder.path().join("tmp")).unwrap();
    let temporary = || std::fs::read_dir(here.folder.path().join("tmp")).unwrap().count();
    let mut run =
        scorer(&["run", "link.yaml", "--data-dir", "tmp"]).current_dir(here.folder.path()).spawn().unwrap();
    while temporary() == 0 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let id = run.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert_eq!(run.wait().unwrap().code(), Some(1));
    assert_eq!(temporary(), 0);
}

#[test]
fn what_is_wrong_is_said_with_the_way_out() {
    let good = manifests("Groups", &two("thousand"), "", "");
    let no_source = manifests("Groups", "[{name: a}, {name: b}]", "", "");
    let absent = no_source
        .replace("a}", "a, source: {encodings: a.json}}")
        .replace("b}", "b, source: {encodings: b.json}}");
    let raw_without_size = good.replace(".json", ".bin").replace("thousand/", "");
    for (manifests, arguments, expected) in [
        (good.replace("0.8", "1.5"), &[][..], "threshold must be above 0 and at most 1"),
        (good.replace("project}, threshold", "other}, threshold"), &[], "projectRef names \"other\""),
        (good.replace("spec:", "spec: ["), &[], "document 1 cannot be read"),
        (
            good.replace("0.8", "0.8, fromRun: {name: earlier}"),
            &[],
            "spec.fromRun asks for the pairs of run earlier, which are kept in a cluster's store only",
        ),
        (no_source, &[], "party a has no source"),
        (absent, &[], "a.json cannot be read: No such file"),
        (raw_without_size, &[], "give spec.encoding.bits"),
        (good.replace("\n---", "  encoding: {bits: 512}\n---"), &[], "asks for 64"),
        (good.replace("\n---", "  blocking: ByBlockId\n---"), &[], "uses blocking, but there are no blocks"),
        (good.replace("thousand", "blocked"), &[], "does not use blocking"),
        (good.replace("Groups", "Permutations"), &["-o", "x.json"], "give a folder"),
        (good.clone(), &["--memory-limit", "1000000"], "the limit is 1 MiB; raise"),
        (good.clone(), &["--data-dir", "/none"], "--data-dir"),
    ] {
        let message = Here::with(&manifests).refused(arguments);
        assert!(message.contains(expected), "{expected}: {message}");
    }
}

#[test]
fn broken_data_is_refused_with_its_place() {
    let good = example("thousand/hospital-a.json").canonicalize().unwrap();
    let short: &[u8] = b"{\"clks\": [\"AAAAAAAAAAA=\"]}";
    for (content, expected) in [
        (&b"{\"clks\": [\"AAAA"[..], "party b (b.json): record 0 (line 1, column"),
        (b"{\"clks\": [\"AA!A\"]}", "record 0 (byte 16): the encoding is not valid base64"),
        (b"{\"clks\": []}", "there are no encodings"),
        (short, "the encodings of party b have 64 bits, those of party a have 1024"),
        (b"\x00\xff\x00", "Unexpected"),
    ] {
        let parties = format!("[{}, {}]", party("a", &good), party("b", Path::new("b.json")));
        let here = Here::with(&manifests("Groups", &parties, "", ""));
        std::fs::write(here.folder.path().join("b.json"), content).unwrap();
        let message = here.refused(&[]);
        assert!(message.contains(expected), "{expected}: {message}");
        assert_eq!(here.files(), ["b.json", "link.yaml"]);
    }
}

/// Begins as gzip does, and is as long as 16 encodings of 1024 bits.
fn packed() -> Vec<u8> {
    [&b"\x1f\x8b\x08\x10\x00\x00\x00\x00\x00\x03"[..], &[b'x'; 16 * 128 - 10]].concat()
}

#[test]
fn packed_files_are_refused_in_words_and_never_read_as_encodings() {
    let good = example("thousand/hospital-a.json").canonicalize().unwrap();
    let text = std::fs::read_to_string(&good).unwrap();
    // so that it would pass for raw encodings
    let padded = format!("{text}{}", " ".repeat(128 - text.len() % 128));
    for (name, content, expected) in [
        ("b.clk", packed(), "party b (b.clk): the data is packed (gzip); unpack it first"),
        ("b.json", packed(), "packed (gzip)"),
        ("b.json.gz", packed(), "packed (gzip)"),
        ("b.JSON.GZ", text.clone().into_bytes(), "packed (gzip)"),
        ("b.zip", vec![7; 128], "packed (zip)"),
        ("b.txt", padded.into_bytes(), "the data is a JSON document, but raw encodings are expected"),
        ("b.json", text.encode_utf16().flat_map(u16::to_le_bytes).collect(), "UTF-16; write it in UTF-8"),
    ] {
        let parties = format!("[{}, {}]", party("a", &good), party("b", Path::new(name)));
        let here = Here::with(&manifests("Groups", &parties, "  encoding: {bits: 1024}", ""));
        std::fs::write(here.folder.path().join(name), content).unwrap();
        let message = here.refused(&[]);
        assert!(message.contains(expected), "{name}: {message}");
    }
}

#[test]
fn json_is_understood_in_capitals_with_a_byte_order_mark_and_with_other_keys() {
    let text = std::fs::read_to_string(example("thousand/hospital-a.json")).unwrap();
    let other = example("thousand/hospital-b.json").canonicalize().unwrap();
    let with_more = text.replacen('{', "{\"meta\": {\"by\": [1]}, ", 1);
    for (name, content) in
        [("a.JSON", text.clone()), ("a.json", format!("\u{feff}{text}")), ("more.json", with_more)]
    {
        let parties = format!("[{}, {}]", party("a", Path::new(name)), party("b", &other));
        let manifests = format!("\u{feff}{}", manifests("Groups", &parties, "  encoding: {bits: 1024}", ""));
        let here = Here::with(&manifests);
        std::fs::write(here.folder.path().join(name), content).unwrap();
        let output = here.run(&[]);
        assert!(succeeds(&output).contains("groups       948"), "{name}");
        let warning = "warning: more.json: the key \"meta\" of the document was ignored";
        assert_eq!(String::from_utf8_lossy(&output.stderr).contains(warning), name == "more.json");
    }
}

#[test]
fn manifests_in_utf_16_are_refused_by_name() {
    let here = Here::with("");
    let text = format!("\u{feff}{}", manifests("Groups", &two("thousand"), "", ""));
    let utf_16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(here.folder.path().join("link.yaml"), utf_16).unwrap();
    let message = here.refused(&[]);
    assert!(message.contains("link.yaml cannot be read") && message.contains("UTF-16"), "{message}");
}

#[test]
fn help_and_version_are_there() {
    let version = succeeds(&scorer(&["--version"]).output().unwrap());
    assert_eq!(version, format!("scorer {}\n", env!("CARGO_PKG_VERSION")));
    for subcommand in ["run", "deduplicate", "ingest", "score", "solve"] {
        let help = succeeds(&scorer(&[subcommand, "--help"]).output().unwrap());
        assert!(help.contains("Usage: scorer"), "{help}");
    }
    assert_eq!(scorer(&["link"]).output().unwrap().status.code(), Some(2));
}

#[test]
fn the_format_is_that_of_the_file_or_as_asked() {
    let here = Here::with(&manifests("Groups", &two("thousand"), "", ""));
    succeeds(&here.run(&["--output", "people.csv"]));
    assert!(here.text("people.csv").starts_with("group,party,record,score\r\n0,a,"));
    assert_eq!(here.files(), ["link.yaml", "people.csv"]);
    succeeds(&here.run(&["--format", "csv,parquet", "--output", "results"]));
    let results = std::fs::read_dir(here.folder.path().join("results")).unwrap();
    let mut names: Vec<_> = results.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["first-groups.csv", "first-groups.parquet"]);
    assert_eq!(here.text("results/first-groups.csv"), here.text("people.csv"));
    let message = here.refused(&["--format", "json", "--output", "other.csv"]);
    assert!(message.contains("say different things"), "{message}");
    let output = here.run(&["--format", "xml"]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("json, csv, ndjson or parquet"), "{message}");
}

#[test]
fn the_manifests_may_name_formats_and_more_results() {
    let more = ", formats: [NDJSON], additionalResults: [SimilarityScores]";
    let here = Here::with(&manifests("Groups", &two("thousand"), "", more));
    let message = here.refused(&["--output", "one.ndjson"]);
    assert!(message.contains("give a folder"), "{message}");
    succeeds(&here.run(&[]));
    assert_eq!(here.files(), ["first-groups.ndjson", "first-similarity_scores.ndjson", "link.yaml"]);
    let first: Value = here.text("first-groups.ndjson").lines().next().unwrap().parse().unwrap();
    assert_eq!(first["members"].as_array().unwrap().len(), 2);
    assert_eq!(here.text("first-similarity_scores.ndjson").lines().count(), 948);

    let here = Here::with(&manifests("Permutations", &two("thousand"), "", more));
    let message = here.refused(&[]);
    assert!(message.contains("additionalResults"), "{message}");
}
