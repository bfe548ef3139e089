//! How much there may be of what clients create over REST: projects, runs, and the bytes of their texts (schema, name, notes).
//! In all, from one address, and in one project.
//!
//! Each resource carries what it counts for as annotations, so that any replica can add up what the watch has told. What this
//! replica has just created counts from the beginning; what other replicas have just created, a moment later.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crds::labels;
use crds::tokens::MasterKey;
use kube::api::ObjectMeta;
use tokio::time::Instant;

use crate::error::Error;
use crate::kubernetes::cluster::{Cluster, Kind};

/// For how long what was created here is remembered: the watch has told of it by then.
const UNSEEN: Duration = Duration::from_secs(60);

/// What there may be. Zero stands for any number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quotas {
    /// Projects in all.
    pub projects: u64,
    /// Projects created from one address.
    pub projects_per_address: u64,
    /// Runs in all.
    pub runs: u64,
    /// Runs of one project.
    pub runs_per_project: u64,
    /// Bytes of texts in all.
    pub bytes: u64,
    /// Bytes of texts created from one address.
    pub bytes_per_address: u64,
}

/// Counts what clients create.
pub struct Ledger {
    quotas: Quotas,
    key: MasterKey,
    /// What was created here, by kind and name.
    unseen: Mutex<HashMap<(Kind, String), Unseen>>,
}

struct Unseen {
    since: Instant,
    entry: Entry,
}

/// What one resource counts for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Entry {
    from: Option<String>,
    project: Option<String>,
    bytes: u64,
}

/// A project or run that is about to be created.
pub struct Wanted<'w> {
    /// Its metadata, into which it is written what it counts for.
    pub metadata: &'w mut ObjectMeta,
    /// The project that a run is of.
    pub project: Option<&'w str>,
    /// The bytes of its texts.
    pub bytes: usize,
    /// Where it comes from.
    pub address: Option<IpAddr>,
}

impl Ledger {
    /// Nothing was created here yet.
    pub fn new(quotas: Quotas, key: MasterKey) -> Self {
        Self { quotas, key, unseen: Mutex::default() }
    }

    /// Counts a project or run that is about to be created.
    ///
    /// # Errors
    /// [`Error::Quota`] when there are too many, and says of which; or as Kubernetes.
    pub async fn enter(&self, cluster: &Cluster, wanted: Wanted<'_>) -> Result<(), Error> {
        let kind = if wanted.project.is_some() { Kind::Run } else { Kind::Project };
        let entry = self.entry(&wanted);
        let seen = cluster.fold_metadata(HashMap::new(), |seen, kind, metadata| {
            if let Some(entry) = Entry::of(metadata) {
                seen.insert((kind, metadata.name.clone().unwrap_or_default()), entry);
            }
        });
        let mut seen = seen.await?;
        // from here on nobody else counts, until this one is counted as well
        let mut unseen = self.unseen();
        unseen.retain(|_, unseen| unseen.since.elapsed() < UNSEEN);
        for (key, unseen) in unseen.iter() {
            seen.entry(key.clone()).or_insert_with(|| unseen.entry.clone());
        }
        self.check(kind, &entry, seen.iter().map(|((kind, _), entry)| (*kind, entry)))?;
        write(wanted.metadata, &entry);
        let name = wanted.metadata.name.clone().unwrap_or_default();
        unseen.insert((kind, name), Unseen { since: Instant::now(), entry });
        Ok(())
    }

    /// It was not created after all.
    pub fn leave(&self, kind: Kind, name: &str) {
        self.unseen().remove(&(kind, name.to_owned()));
    }

    fn entry(&self, wanted: &Wanted<'_>) -> Entry {
        let pseudonym = |address: IpAddr| self.key.pseudonym("address", address.to_string().as_bytes());
        Entry {
            from: wanted.address.map(pseudonym),
            project: wanted.project.map(str::to_owned),
            bytes: u64::try_from(wanted.bytes).unwrap_or(u64::MAX),
        }
    }

    fn check<'e>(
        &self,
        kind: Kind,
        wanted: &Entry,
        all: impl Iterator<Item = (Kind, &'e Entry)> + Clone,
    ) -> Result<(), Error> {
        let count = |keep: &dyn Fn(&(Kind, &Entry)) -> bool| all.clone().filter(keep).count() as u64;
        let bytes = |keep: &dyn Fn(&(Kind, &Entry)) -> bool| {
            all.clone().filter(keep).fold(0u64, |sum, (_, entry)| sum.saturating_add(entry.bytes))
        };
        let here = |(_, entry): &(Kind, &Entry)| wanted.from.is_some() && entry.from == wanted.from;
        let quotas = &self.quotas;
        let of_kind = match kind {
            Kind::Project => [
                (
                    quotas.projects,
                    count(&|(kind, _)| *kind == Kind::Project),
                    "projects in this installation",
                ),
                (
                    quotas.projects_per_address,
                    count(&|found| found.0 == Kind::Project && here(found)),
                    "projects created from one address",
                ),
            ],
            Kind::Run => [
                (quotas.runs, count(&|(kind, _)| *kind == Kind::Run), "runs in this installation"),
                (
                    quotas.runs_per_project,
                    count(&|(kind, entry)| *kind == Kind::Run && entry.project == wanted.project),
                    "runs of one project",
                ),
            ],
        };
        for (most, found, of_what) in of_kind {
            if most > 0 && found >= most {
                return Err(Error::Quota { most, of_what });
            }
        }
        for (most, found, of_what) in [
            (quotas.bytes, bytes(&|_| true), "bytes of schemas, names and notes in this installation"),
            (quotas.bytes_per_address, bytes(&here), "bytes of schemas, names and notes from one address"),
        ] {
            if most > 0 && found.saturating_add(wanted.bytes) > most {
                return Err(Error::Quota { most, of_what });
            }
        }
        Ok(())
    }

    fn unseen(&self) -> MutexGuard<'_, HashMap<(Kind, String), Unseen>> {
        self.unseen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// What a resource counts for; none if it was not created over REST.
    fn of(metadata: &ObjectMeta) -> Option<Self> {
        let manager = metadata.labels.as_ref()?.get(labels::MANAGED_BY)?;
        let annotation = |name: &str| metadata.annotations.as_ref()?.get(name).cloned();
        (manager == labels::API).then(|| Self {
            from: annotation(labels::CREATED_FROM),
            project: metadata.labels.as_ref().and_then(|labels| labels.get(labels::PROJECT)).cloned(),
            bytes: annotation(labels::TEXT_BYTES).and_then(|bytes| bytes.parse().ok()).unwrap_or_default(),
        })
    }
}

fn write(metadata: &mut ObjectMeta, entry: &Entry) {
    let annotations = metadata.annotations.get_or_insert_default();
    annotations.insert(labels::TEXT_BYTES.into(), entry.bytes.to_string());
    annotations.extend(entry.from.clone().map(|from| (labels::CREATED_FROM.into(), from)));
    let labels = metadata.labels.get_or_insert_default();
    labels.insert(labels::MANAGED_BY.into(), labels::API.into());
    labels.extend(entry.project.clone().map(|project| (labels::PROJECT.into(), project)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(from: &str, project: Option<&str>, bytes: u64) -> Entry {
        Entry { from: Some(from.into()), project: project.map(Into::into), bytes }
    }

    fn refusal(quotas: Quotas, kind: Kind, wanted: &Entry, all: &[(Kind, Entry)]) -> Option<String> {
        let ledger = Ledger::new(quotas, MasterKey::new(&[1; 32]).unwrap());
        let all = all.iter().map(|(kind, entry)| (*kind, entry));
        ledger.check(kind, wanted, all).err().map(|error| error.to_string())
    }

    #[test]
    fn each_quota_counts_and_the_refusal_says_which() {
        let all = [
            (Kind::Project, entry("a", None, 10)),
            (Kind::Project, entry("b", None, 20)),
            (Kind::Run, entry("a", Some("p"), 5)),
        ];
        let none = Quotas::default();
        for (quotas, kind, wanted, expected) in [
            (none, Kind::Project, entry("a", None, 1 << 40), None),
            (Quotas { projects: 2, ..none }, Kind::Project, entry("c", None, 0), Some("projects in this")),
            (Quotas { projects: 3, ..none }, Kind::Project, entry("c", None, 0), None),
            (
                Quotas { projects_per_address: 1, ..none },
                Kind::Project,
                entry("a", None, 0),
                Some("from one address"),
            ),
            (Quotas { projects_per_address: 1, ..none }, Kind::Project, entry("c", None, 0), None),
            (Quotas { runs: 1, ..none }, Kind::Run, entry("c", Some("q"), 0), Some("runs in this")),
            (
                Quotas { runs_per_project: 1, ..none },
                Kind::Run,
                entry("c", Some("p"), 0),
                Some("runs of one"),
            ),
            (Quotas { runs_per_project: 1, ..none }, Kind::Run, entry("c", Some("q"), 0), None),
            (Quotas { bytes: 40, ..none }, Kind::Project, entry("c", None, 6), Some("in this installation")),
            (Quotas { bytes: 40, ..none }, Kind::Project, entry("c", None, 5), None),
            (
                Quotas { bytes_per_address: 20, ..none },
                Kind::Run,
                entry("a", Some("q"), 6),
                Some("from one address"),
            ),
            (Quotas { bytes_per_address: 20, ..none }, Kind::Run, entry("b", Some("q"), 0), None),
        ] {
            let found = refusal(quotas, kind, &wanted, &all);
            match expected {
                None => assert_eq!(found, None, "{quotas:?}"),
                Some(part) => {
                    assert!(found.as_ref().is_some_and(|found| found.contains(part)), "{quotas:?} {found:?}")
                }
            }
        }
    }

    #[test]
    fn callers_without_an_address_are_not_taken_for_one() {
        let nowhere = Entry::default();
        let quotas = Quotas { projects_per_address: 1, ..Quotas::default() };
        assert_eq!(refusal(quotas, Kind::Project, &nowhere, &[(Kind::Project, nowhere.clone())]), None);
    }

    #[test]
    fn what_was_made_with_kubectl_does_not_count() {
        let mut metadata = ObjectMeta::default();
        assert_eq!(Entry::of(&metadata), None);
        let wanted = entry("a", Some("p"), 7);
        write(&mut metadata, &wanted);
        assert_eq!(Entry::of(&metadata), Some(wanted));
    }
}
