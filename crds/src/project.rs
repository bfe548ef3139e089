//! `LinkageProject`: who takes part, how they encode, and what each party has contributed.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::kept;
use crate::webhook::{Webhook, WebhookStatus};
use serde_json::{Map, Value};

/// Parties that contribute encodings of their records, to be linked with each other.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "pprl.dev",
    version = "v1alpha1",
    kind = "LinkageProject",
    plural = "linkageprojects",
    namespaced,
    cel,
    status = "LinkageProjectStatus",
    derive = "PartialEq",
    shortname = "lproj",
    category = "pprl",
    doc = "A LinkageProject names the parties whose records are linked, and records what each has contributed.",
    validation = Rule::new("size(self.metadata.name) <= 48")
        .message("metadata.name must have at most 48 characters, because Jobs are named after it"),
    // existing resources are spared, as they must stay deletable
    validation = Rule::new("oldSelf.hasValue() || !self.metadata.name.contains('.')").optional_old_self(true)
        .message("metadata.name must not contain a dot, because pods are named after it"),
    printcolumn(name = "Result", type_ = "string", json_path = ".spec.resultType"),
    printcolumn(name = "Parties", type_ = "string", json_path = ".status.contributed",
        description = "How many parties have contributed, of how many"),
    printcolumn(name = "Records", type_ = "integer", json_path = ".status.records"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "Message", type_ = "string", priority = "1",
        json_path = ".status.conditions[?(@.type==\"Ready\")].message"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
)]
#[x_kube(
    cel,
    validation = Rule::new("self.resultType != 'Permutations' || size(self.parties) == 2")
        .message("resultType Permutations is for exactly two parties; use Groups or SimilarityScores for more"),
    validation = Rule::new("self.resultType == oldSelf.resultType")
        .message("resultType cannot be changed; create a new project"),
    validation = Rule::new("self.blocking == oldSelf.blocking")
        .message("blocking cannot be changed; create a new project"),
    // of lists of type map CEL compares the entries whatever their order; of lists of texts it compares the order, too
    validation = Rule::new("self.parties.map(party, party.name) == oldSelf.parties.map(party, party.name)")
        .message("the names, the number and the order of parties cannot be changed; create a new project"),
    validation = kept("encoding").message("encoding cannot be changed; create a new project"),
    validation = Rule::new("!has(self.paillierPublicKey) || self.resultType == 'Permutations'")
        .message("paillierPublicKey encrypts the mask of Permutations; leave it out with another resultType"),
    validation = kept("paillierPublicKey").message("paillierPublicKey cannot be changed; create a new project"),
    validation = Rule::new("self.tokenGeneration >= oldSelf.tokenGeneration")
        .message("tokenGeneration can only be raised"),
)]
pub struct LinkageProjectSpec {
    /// A title for people. The REST service's `name`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 1024))]
    pub title: String,

    /// Notes for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 10240))]
    pub notes: String,

    /// What runs of this project hand out: Groups of records that belong to one person, SimilarityScores of
    /// all pairs at or above the threshold, or Permutations, by which two parties learn which of their
    /// reordered rows match, and nothing else. Permutations are for exactly two parties.
    pub result_type: ResultType,

    /// The parties, two or more. Their order numbers the data sets in results, from 0.
    #[schemars(length(max = 64))]
    #[x_kube(
        merge_strategy = ListMerge::Map(vec!["name".into()]),
        validation = Rule::new("size(self) >= 2").message("a linkage needs two parties or more")
    )]
    pub parties: Vec<Party>,

    /// Whether records are compared only when they share a block. `None` compares all pairs of records of
    /// different parties. `ByBlockId` needs block ids with every upload.
    #[serde(default)]
    pub blocking: Blocking,

    /// How the records were encoded, when it is known beforehand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<Encoding>,

    /// For Permutations: a Paillier public key of at least 2048 bits, as `pheutil extract` of PyPI's `phe` writes it, its `n` as `modulus`.
    /// Runs then hand out the mask encrypted under it, to the parties too, and only who has the private key can read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paillier_public_key: Option<PaillierPublicKey>,

    /// Raise it to make all tokens handed out so far useless, and to get new ones. A party's entry has one for its tokens alone.
    #[serde(default = "first_generation")]
    #[schemars(range(min = 1))]
    pub token_generation: i64,

    /// From when on the tokens open nothing any more; each party's entry may give another time for that party's. Never, when
    /// absent. A later time, or none, makes the same tokens work again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_expire_at: Option<Time>,

    /// When the project is deleted by itself, with all its data and runs. Never, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,

    /// Where to send news: that a party has contributed, that a run has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
}

fn first_generation() -> i64 {
    1
}

/// What runs hand out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ResultType {
    /// Groups of records that belong to one person.
    Groups,
    /// All pairs at or above the threshold, with their scores.
    SimilarityScores,
    /// A permutation per party, and a mask of the rows that match.
    Permutations,
}

/// Which pairs of records are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Blocking {
    /// All pairs of records of different parties.
    #[default]
    None,
    /// Pairs of records of different parties that share at least one block id.
    ByBlockId,
}

/// One party.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    cel,
    validation = Rule::new(
        "!has(oldSelf.tokenGeneration) || (has(self.tokenGeneration) && self.tokenGeneration >= oldSelf.tokenGeneration)"
    ).message("a party's tokenGeneration can only be raised"),
)]
pub struct Party {
    /// The party's name, unique in the project: lower-case letters, digits and `-`.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')")
        .message("a party's name consists of lower-case letters, digits and '-', and starts and ends with a letter or digit"))]
    pub name: String,

    /// Objects already in the store that hold the party's encodings. Without it, the party uploads over REST.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,

    /// Raise it to make the tokens of this party alone useless, and to get new ones. 1, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub token_generation: Option<i64>,

    /// From when on this party's tokens open nothing any more, in place of spec.tokensExpireAt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_expire_at: Option<Time>,
}

impl Party {
    /// A party that uploads over REST.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

/// Objects in the store that hold a party's encodings.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(cel)]
pub struct Source {
    /// Key of the encodings, below the store's prefix. By default it begins with `sources/` and the project's name, such as
    /// `sources/hospitals/a.json`; the administrator may allow other keys. A name ending in `.json`, in capitals or not, holds a document as it would be
    /// uploaded over REST (`{"clks": [...]}`, `{"clknblocks": [...]}` or `{"encodings": [...]}`); any other holds
    /// raw encodings one after the other, of `spec.encoding.bits` each. Packed objects (`.gz`, `.zip` and the like) are refused.
    #[schemars(length(min = 1, max = 1024))]
    #[x_kube(validation = Rule::new("!self.startsWith('projects/') && !self.startsWith('runs/')")
        .message("a source must not lie below projects/ or runs/, which hold the data of all projects"))]
    pub encodings: String,

    /// Key of the blocks, for projects with blocking: a JSON document `{"blocks": {"0": ["block id", ...], ...}}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024))]
    #[x_kube(validation = Rule::new("!self.startsWith('projects/') && !self.startsWith('runs/')")
        .message("a source must not lie below projects/ or runs/, which hold the data of all projects"))]
    pub blocks: Option<String>,
}

/// How records were encoded.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(cel)]
pub struct Encoding {
    /// Length of each encoding in bits; a multiple of 64. When given, encodings of another length are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 64, max = 8192))]
    #[x_kube(validation = Rule::new("self % 64 == 0").message("encoding.bits must be a multiple of 64"))]
    pub bits: Option<i32>,

    /// The linkage schema by which all parties encode (clkhash's JSON). It is handed to the parties as it is.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(schema_with = "crate::schema::free_object")]
    pub schema: Map<String, Value>,

    /// A schema that is too large for the resource: where it is in the store. Written by the REST service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_schema: Option<StoredSchema>,
}

/// A linkage schema in the store. It is deleted with the project.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(cel)]
pub struct StoredSchema {
    /// Its key, below the project's own folder.
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$')")
        .message("storedSchema.key is a name in the project's own folder: lower-case letters, digits, '-' and '.'"))]
    pub key: String,

    /// Its size.
    #[schemars(range(min = 1))]
    pub bytes: i64,

    /// Its BLAKE3, in hex.
    #[schemars(length(max = 64))]
    pub blake3: String,
}

impl LinkageProject {
    /// Forgets what only people and clients read: title, notes and linkage schema, which are most of a project and may be
    /// large. For those who keep many projects in memory; such a project must not be written back but for its status.
    pub fn forget_texts(&mut self) {
        self.spec.title = String::new();
        self.spec.notes = String::new();
        if let Some(encoding) = &mut self.spec.encoding {
            encoding.schema = Map::new();
        }
    }
}

/// A Paillier public key: a JSON Web Key as PyPI's `phe` writes it, with its names but for `n`, which is no text but a
/// truth value where YAML is read as of version 1.1, as Kubernetes does.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(cel)]
pub struct PaillierPublicKey {
    /// `DAJ`.
    #[x_kube(validation = Rule::new("self == 'DAJ'").message("paillierPublicKey.kty must be DAJ"))]
    pub kty: String,

    /// `PAI-GN1`.
    #[x_kube(validation = Rule::new("self == 'PAI-GN1'").message("paillierPublicKey.alg must be PAI-GN1"))]
    pub alg: String,

    /// The modulus, in base64url: `n` of the JSON Web Key.
    #[schemars(length(min = 1, max = 1400))]
    #[x_kube(validation = Rule::new("size(self) >= 342")
        .message("paillierPublicKey.modulus has fewer than 2048 bits; make a longer key"))]
    pub modulus: String,

    /// `encrypt`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub key_ops: Vec<String>,

    /// What the key is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub kid: Option<String>,
}

/// When a project is deleted by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retention {
    /// Seconds after the project's creation at which it is deleted, with all its data and runs.
    #[schemars(range(min = 60))]
    pub seconds_after_creation: i64,
}

/// What is known of a project. Written by the operator and, for uploads, by the REST service.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkageProjectStatus {
    /// The generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Ready: all parties have contributed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "crate::schema::conditions")]
    pub conditions: Vec<Condition>,

    /// Parties that have contributed, of all parties, such as `1/2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contributed: Option<String>,

    /// Records contributed so far, by all parties together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<i64>,

    /// Name of the Secret that holds the project's tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_secret: Option<String>,

    /// The run that began first. It is written before any run works on the data: from then on no party may withdraw or
    /// replace what it has contributed, also when that run is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_run: Option<String>,

    /// What each party has contributed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub parties: Vec<PartyStatus>,

    /// Which news of the parties have been sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookStatus>,
}

/// What one party has contributed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartyStatus {
    /// The party's name.
    pub name: String,

    /// How far the party is.
    #[serde(default)]
    pub state: PartyState,

    /// Why the party's data, or its last upload, was refused: a reason in CamelCase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,

    /// The same for people: what was wrong, where, and what to do; or what of accepted data was not used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,

    /// Number of records contributed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<i64>,

    /// Records that are in no block, in a project with blocking: they are compared with no other record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records_without_block: Option<i64>,

    /// Bytes of one encoding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding_bytes: Option<i32>,

    /// When the data was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contributed_at: Option<Time>,

    /// Key of the stored encodings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encodings: Option<String>,

    /// Key of the stored blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<String>,

    /// BLAKE3 of the stored encodings, in hex; `b3sum` prints the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blake3: Option<String>,

    /// BLAKE3 of the stored blocks, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks_blake3: Option<String>,

    /// Objects that the party has put into the store by itself and announced over REST. They are read as source objects
    /// are; this goes once it is known what came of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub announced: Option<AnnouncedObjects>,

    /// The version of the source objects that was read last, so that a replaced object is read again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_version: Option<String>,
}

/// Objects that a party has announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnnouncedObjects {
    /// Key of the encodings, below the project's own folder for uploads.
    pub encodings: String,
    /// Key of the blocks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<String>,
}

/// How far a party is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PartyState {
    /// Nothing contributed yet.
    #[default]
    Waiting,
    /// The party's source objects are being read.
    Ingesting,
    /// The data is there and can be linked.
    Contributed,
    /// The data cannot be used; the party may contribute again.
    Rejected,
}
