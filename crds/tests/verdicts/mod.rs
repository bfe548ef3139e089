//! Manifests, and whether they are taken: by `scorer run`, as the unit test asks, and by `kubectl apply`, as the end-to-end
//! test asks of a real API server.

/// A file of manifests.
pub struct Case {
    /// Of the project and the run in it: unique, so that all files can be applied together.
    pub name: String,
    /// What the file says that is unlike the others.
    pub what: &'static str,
    /// The file.
    pub yaml: String,
    /// What `scorer run` says of it; none if it is taken.
    pub told: Option<&'static str>,
}

/// A file that is taken; each case changes a line of it.
const BASE: &str = "\
apiVersion: pprl.dev/v1alpha1
kind: LinkageProject
metadata:
  name: NAME
  labels: {site: north}
spec:
  title: hospitals
  resultType: Groups
  tokenGeneration: 1
  parties:
    - {name: a, source: {encodings: a.json}}
    - {name: b, source: {encodings: b.json}}
  encoding: {bits: 1024, schema: {version: 3}}
---
apiVersion: pprl.dev/v1alpha1
kind: LinkageRun
metadata: {name: NAME}
spec:
  projectRef: {name: NAME}
  threshold: 0.8
  suspend: false
  shards: 2
";

/// All files.
pub fn cases() -> Vec<Case> {
    let changes = TEXTS.iter().chain(NUMBERS).chain(BOOLEANS).chain(STRUCTURE).chain(RULES);
    let cases = changes.enumerate().map(|(number, (from, to, told))| {
        assert!(BASE.contains(from), "{from} is not there");
        let name = format!("case-{number:03}");
        Case { yaml: BASE.replacen(from, to, 1).replace("NAME", &name), name, what: to, told: *told }
    });
    cases.collect()
}

/// What is changed, into what, and what is said of it.
type Change = (&'static str, &'static str, Option<&'static str>);

const TITLE: &str = "title: hospitals";
const PARTY: &str = "{name: b,";
const THRESHOLD: &str = "threshold: 0.8";
const SHARDS: &str = "shards: 2";
const SUSPEND: &str = "suspend: false";
const GENERATION: &str = "tokenGeneration: 1";
const LABEL: &str = "{site: north}";
const SCHEMA: &str = "{version: 3}";

const TEXTS: &[Change] = &[
    (TITLE, "title: hospitals", None),
    (
        TITLE,
        "title: yes",
        Some("spec.title must be a string, but without quotes yes is the boolean true; quote it: \"yes\""),
    ),
    (TITLE, "title: 'yes'", None),
    (TITLE, "title: \"no\"", None),
    (TITLE, "title: y", Some("the boolean true")),
    (TITLE, "title: N", Some("the boolean false")),
    (TITLE, "title: Off", Some("the boolean false")),
    (TITLE, "title: oFF", None),
    (TITLE, "title: 007", Some("without quotes 007 is the number 7; quote it: \"007\"")),
    (TITLE, "title: 1_000", Some("without quotes 1_000 is the number 1000")),
    (TITLE, "title: 0b1", Some("the number 1")),
    (TITLE, "title: 0o17", Some("the number 15")),
    (TITLE, "title: 0o18", None),
    (TITLE, "title: 08", Some("the number 8")),
    (TITLE, "title: 0x1F", Some("the number 31")),
    (TITLE, "title: 1e3", Some("the number 1000")),
    (TITLE, "title: 1e400", None),
    (TITLE, "title: .5", Some("the number 0.5")),
    (TITLE, "title: .5_0", Some("the number 0.5")),
    (TITLE, "title: .5_", None),
    (TITLE, "title: 99999999999999999999", Some("the number 1e+20")),
    (TITLE, "title: .inf", Some("a number that JSON does not have; quote it: \".inf\"")),
    (TITLE, "title: .NaN", Some("a number that JSON does not have")),
    (TITLE, "title: inf", None),
    (TITLE, "title: ~", None),
    (TITLE, "title:", None),
    (TITLE, "title: NULL", None),
    (TITLE, "title: 1:30", None),
    (TITLE, "title: 2001-12-14", None),
    (TITLE, "title: 2001-12-14 21:59:43", None),
    (TITLE, "title: 1.2.3", None),
    (TITLE, "title: =", None),
    (TITLE, "title: !!str no", None),
    (TITLE, "title: !!str 7", None),
    (TITLE, "title: !own no", None),
    (TITLE, "title: !!int x", Some("!!int")),
    (TITLE, "title: |-\n    no", None),
    (TITLE, "title: [no]", Some("spec.title must be a string, but is a list")),
    (TITLE, "title: {a: b}", Some("spec.title must be a string, but is a map")),
    (
        PARTY,
        "{name: no,",
        Some("spec.parties[1].name must be a string, but without quotes no is the boolean false; quote it"),
    ),
    (PARTY, "{name: 'no',", None),
    (PARTY, "{name: on,", Some("the boolean true")),
    (PARTY, "{name: 007,", Some("spec.parties[1].name")),
    (PARTY, "{name: \"007\",", None),
    (PARTY, "{name: ~,", Some("spec.parties[1].name is missing")),
    (PARTY, "{name: 2e0,", Some("the number 2")),
    (LABEL, "{site: no}", Some("metadata.labels.site must be a string")),
    (LABEL, "{site: 'no'}", None),
    (LABEL, "{site: ~}", None),
    (LABEL, "{no: north}", None),
    (LABEL, "{7: north}", None),
    (LABEL, "{~: north}", Some("a key must be a string")),
    (LABEL, "{site: the north}", Some("metadata.labels.site is \"the north\"")),
    (LABEL, "{the site: north}", Some("cannot be a key")),
    (SCHEMA, "{version: no, a: 007, b: ~, c: [1_0]}", None),
    (SCHEMA, "no", Some("spec.encoding.schema must be a map")),
];

const NUMBERS: &[Change] = &[
    (THRESHOLD, "threshold: 1", None),
    (THRESHOLD, "threshold: 1.0", None),
    (THRESHOLD, "threshold: .8", None),
    (THRESHOLD, "threshold: 8e-1", None),
    (THRESHOLD, "threshold: 0.8_5", None),
    (THRESHOLD, "threshold: '0.8'", Some("spec.threshold must be a number, but is the string \"0.8\"")),
    (THRESHOLD, "threshold: yes", Some("spec.threshold must be a number, but is the boolean true")),
    (THRESHOLD, "threshold: ~", Some("spec.threshold is missing")),
    (THRESHOLD, "threshold: 0,8", Some("spec.threshold must be a number, but is the string \"0,8\"")),
    (THRESHOLD, "threshold: 0b1", None),
    (THRESHOLD, "threshold: 0x2", Some("at most 1")),
    (THRESHOLD, "threshold: 80%", Some("the string \"80%\"")),
    (SHARDS, "shards: 2.0", None),
    (SHARDS, "shards: 2.5", Some("spec.shards must be an integer, but is the number 2.5")),
    (SHARDS, "shards: 1e2", None),
    (SHARDS, "shards: 010", None),
    (SHARDS, "shards: 0o10", None),
    (SHARDS, "shards: 1_000", None),
    (SHARDS, "shards: 01751", Some("spec.shards is 1001; it must be at most 1000")),
    (SHARDS, "shards: 0", Some("spec.shards is 0; it must be at least 1")),
    (SHARDS, "shards: -0", Some("at least 1")),
    (SHARDS, "shards: 1:30", Some("the string \"1:30\"")),
    (SHARDS, "shards: '2'", Some("must be an integer, but is the string \"2\"")),
    (SHARDS, "shards: \"0b11\"", Some("must be an integer")),
    (SHARDS, "shards: 0b11", None),
    (SHARDS, "shards: ~", None),
    (SHARDS, "shards: !!float 2", None),
    (GENERATION, "tokenGeneration: 9223372036854775807", None),
    (GENERATION, "tokenGeneration: 9223372036854775808", Some("spec.tokenGeneration must be an integer")),
    (GENERATION, "tokenGeneration: 1e18", None),
    (GENERATION, "tokenGeneration: 1e20", Some("must be an integer")),
    (GENERATION, "tokenGeneration: ~", None),
    ("{bits: 1024,", "{bits: 0x400,", None),
    ("{bits: 1024,", "{bits: 1_000,", Some("multiple of 64")),
];

const BOOLEANS: &[Change] = &[
    (SUSPEND, "suspend: yes", None),
    (SUSPEND, "suspend: OFF", None),
    (SUSPEND, "suspend: y", None),
    (SUSPEND, "suspend: ~", None),
    (
        SUSPEND,
        "suspend: 'yes'",
        Some("spec.suspend must be a boolean (true or false), but is the string \"yes\""),
    ),
    (SUSPEND, "suspend: 0", Some("spec.suspend must be a boolean (true or false), but is the number 0")),
    (SUSPEND, "suspend: nO", Some("the string \"nO\"")),
];

const STRUCTURE: &[Change] = &[
    (THRESHOLD, "threshold: 0.8\n  threshold: 0.9", None),
    (THRESHOLD, "threshold: 0.8\n  threshold: 1.5", Some("at most 1")),
    (THRESHOLD, "treshold: 0.8", Some("unknown field \"spec.treshold\"")),
    (THRESHOLD, "threshold: 0.8\n  treshold: ~", None),
    (THRESHOLD, "Threshold: 0.8", Some("unknown field \"spec.Threshold\"")),
    (THRESHOLD, "threshold: 0.8\n  on: true", Some("unknown field \"spec.true\"")),
    (LABEL, "{site: north}\n  nmae: x", Some("unknown field \"metadata.nmae\"")),
    ("kind: LinkageRun", "kind: LinkageRun\nsepc: {}", Some("unknown field \"sepc\"")),
    ("kind: LinkageRun", "kind: LinkageRun\nstatus: {stage: Complete}", None),
    (PARTY, "{name: a,", Some("spec.parties[1] repeats \"a\"")),
    (PARTY, "<<: {name: b, extra: 1}\n    - {name: c,", Some("unknown field \"spec.parties[1].extra\"")),
    (
        "- {name: b, source: {encodings: b.json}}",
        "- {<<: {name: c}, name: b, source: {encodings: b.json}}",
        None,
    ),
    ("- {name: b, source: {encodings: b.json}}", "- {name: b, <<: {name: a}}", Some("repeats \"a\"")),
    (
        "- {name: b, source: {encodings: b.json}}",
        "- &b {name: b, source: {encodings: b.json}}\n    - {<<: *b, name: c}",
        None,
    ),
    (
        "- {name: b, source: {encodings: b.json}}",
        "- ~\n    - {name: b}",
        Some("spec.parties[1] must be a map, but is null"),
    ),
    ("- {name: b, source: {encodings: b.json}}", "- b", Some("spec.parties[1] must be a map")),
    ("{encodings: b.json}", "{}", Some("spec.parties[1].source.encodings is missing")),
    ("{encodings: b.json}", "~", None),
    ("{encodings: b.json}", "{encodings: b.json, blocks: ''}", Some("it must have at least 1")),
    (SHARDS, "formats: [JSON, CSV]", None),
    (SHARDS, "formats: [JSON, JSON]", Some("spec.formats[1] repeats \"JSON\"")),
    (SHARDS, "formats: [json]", Some("it must be one of \"JSON\"")),
    (SHARDS, "formats: []", Some("has 0 entries; it must have at least 1")),
    (SHARDS, "formats: ~", None),
    (SHARDS, "resources: {limits: {cpu: 1, memory: 1Gi}}", None),
    (
        SHARDS,
        "resources: {limits: {cpu: 0.5}}",
        Some(
            "spec.resources.limits.cpu must be an integer or a string, but without quotes 0.5 is the number 0.5; quote it: \"0.5\"",
        ),
    ),
    (
        SHARDS,
        "scheduling: {nodeSelector: {ssd: yes}}",
        Some("spec.scheduling.nodeSelector.ssd must be a string"),
    ),
    (SHARDS, "scheduling: {nodeSelector: {ssd: 'yes', old: ~}}", None),
    (SHARDS, "scheduling: {queueName: off}", Some("spec.scheduling.queueName must be a string")),
    (
        SHARDS,
        "scheduling: {tolerations: [{key: a, value: 1, operator: Equal}]}",
        Some("spec.scheduling.tolerations[0].value must be a string"),
    ),
    ("---\n", "--- {}\n", Some("nothing may follow ---")),
    ("---\n", "--- # a run\n", None),
    ("---\n", "---\n# nothing\n---\n", None),
    ("---\n", "...\nignored: [\n---\n", None),
    (SHARDS, "shards: [", Some("document 2 cannot be read: line")),
    (
        "apiVersion: pprl.dev/v1alpha1\nkind: LinkageProject",
        "%YAML 1.1\n---\napiVersion: pprl.dev/v1alpha1\nkind: LinkageProject",
        Some("document 1 cannot be read"),
    ),
];

const RULES: &[Change] = &[
    ("metadata: {name: NAME}", "metadata: {name: NAME.b}", Some("must not contain a dot")),
    ("metadata: {name: NAME}", "metadata: {name: NAME_b}", Some("metadata.name is \"")),
    ("metadata: {name: NAME}", "metadata: {name: Run}", Some("metadata.name is \"Run\"")),
    (
        "metadata: {name: NAME}",
        "metadata: {name: no}",
        Some("metadata.name must be a string, but without quotes no is false; quote it"),
    ),
    ("metadata: {name: NAME}", "metadata: {name: 007}", Some("metadata.name must be a string")),
    ("metadata: {name: NAME}", "metadata: {name: ~}", Some("metadata.name is missing")),
    (
        "metadata: {name: NAME}",
        "metadata: {name: NAME-of-more-than-forty-eight-characters-for-a-job}",
        Some("48 characters"),
    ),
    (THRESHOLD, "threshold: 0", Some("threshold must be above 0")),
    (
        THRESHOLD,
        "threshold: 0.8\n  solver: {algorithm: Hungarian}",
        Some("it must be one of \"Greedy\", \"Optimal\""),
    ),
    (THRESHOLD, "threshold: 0.8\n  solver: {algorithm: ~, mergeThreshold: 0.5}", None),
    ("resultType: Groups", "resultType: groups", Some("it must be one of \"Groups\"")),
    ("resultType: Groups", "resultType: ~", Some("spec.resultType is missing")),
    ("resultType: Groups", "resultType: Groups\n  blocking: no", Some("spec.blocking must be a string")),
    ("resultType: Groups", "resultType: Groups\n  blocking: None", None),
    (PARTY, "{name: B,", Some("lower-case letters")),
];
