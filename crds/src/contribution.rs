//! Which data counts as a party's contribution: decided in one place, for uploads over REST and for source objects.
//!
//! The decision is made on a status as it was read; it holds only if that very status can be replaced
//! (`resourceVersion`), which makes one of two racing uploads win.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use crate::conditions::PartyReason;
use crate::{LinkageProjectSpec, LinkageProjectStatus, PartyState, PartyStatus};

/// A party's data in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartyData {
    /// Number of records.
    pub records: u64,
    /// Bytes of one encoding.
    pub encoding_bytes: u32,
    /// Key of the encodings.
    pub encodings: String,
    /// Key of the blocks.
    pub blocks: Option<String>,
    /// BLAKE3 of the encodings, in hex.
    pub blake3: String,
    /// Records that are in no block; none without blocking.
    pub records_without_block: Option<u64>,
}

/// What became of the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is the party's contribution.
    Accepted,
    /// It cannot be linked: the party may contribute again, and the stored objects are to be deleted.
    Rejected,
    /// The party has contributed before: the stored objects are to be deleted.
    AlreadyContributed,
}

/// Why data was refused, for the party's status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// CamelCase reason.
    pub reason: String,
    /// What was wrong, where, and what to do.
    pub message: String,
}

/// Claims data as a party's contribution and records the outcome in the status.
/// A party that is not of the project is [`Outcome::AlreadyContributed`]: there is no place for its data.
pub fn claim(
    spec: &LinkageProjectSpec,
    status: &mut LinkageProjectStatus,
    party: &str,
    data: &PartyData,
    now: Timestamp,
) -> Outcome {
    list_all_parties(spec, status);
    let refusal = encoding_size_refusal(spec, status, party, data.encoding_bytes);
    let Some(entry) = open_entry(status, party) else { return Outcome::AlreadyContributed };
    let outcome = match refusal {
        Some(refusal) => {
            reject(entry, refusal);
            Outcome::Rejected
        }
        None => {
            *entry = PartyStatus {
                name: entry.name.clone(),
                state: PartyState::Contributed,
                reason: None,
                message: None,
                records: Some(saturating_i64(data.records)),
                encoding_bytes: Some(i32::try_from(data.encoding_bytes).unwrap_or(i32::MAX)),
                contributed_at: Some(Time(now)),
                encodings: Some(data.encodings.clone()),
                blocks: data.blocks.clone(),
                blake3: Some(data.blake3.clone()),
                records_without_block: data.records_without_block.map(saturating_i64),
                source_version: entry.source_version.clone(),
            };
            Outcome::Accepted
        }
    };
    sum_up(spec, status);
    outcome
}

/// Records that a party's data could not be used. A contribution made before stays as it is.
pub fn refuse(spec: &LinkageProjectSpec, status: &mut LinkageProjectStatus, party: &str, refusal: Refusal) {
    list_all_parties(spec, status);
    if let Some(entry) = open_entry(status, party) {
        reject(entry, refusal);
    }
    sum_up(spec, status);
}

/// Records why a party's last upload was broken. The party's state stays: an upload that was refused with an error
/// leaves nothing behind, so it neither rejects the party nor takes back what it contributed before.
pub fn note_failed_upload(
    spec: &LinkageProjectSpec,
    status: &mut LinkageProjectStatus,
    party: &str,
    refusal: Refusal,
) {
    list_all_parties(spec, status);
    if let Some(entry) = open_entry(status, party) {
        entry.reason = Some(refusal.reason);
        entry.message = Some(refusal.message);
    }
}

/// Gives every party of the spec an entry, in the spec's order.
pub fn list_all_parties(spec: &LinkageProjectSpec, status: &mut LinkageProjectStatus) {
    let mut known = std::mem::take(&mut status.parties);
    status.parties = spec
        .parties
        .iter()
        .map(|party| match known.iter().position(|entry| entry.name == party.name) {
            Some(index) => known.swap_remove(index),
            None => PartyStatus { name: party.name.clone(), ..PartyStatus::default() },
        })
        .collect();
    sum_up(spec, status);
}

/// Whether every party has contributed.
pub fn is_complete(spec: &LinkageProjectSpec, status: &LinkageProjectStatus) -> bool {
    missing(spec, status).is_empty()
}

/// The parties that have not contributed, in the order of the spec.
pub fn missing<'a>(spec: &'a LinkageProjectSpec, status: &LinkageProjectStatus) -> Vec<&'a str> {
    let has_contributed = |name: &str| {
        status.parties.iter().any(|entry| entry.name == name && entry.state == PartyState::Contributed)
    };
    spec.parties.iter().map(|party| party.name.as_str()).filter(|name| !has_contributed(name)).collect()
}

/// The first party whose data was rejected, and why.
pub fn rejected(status: &LinkageProjectStatus) -> Option<(&str, &str)> {
    let party = status.parties.iter().find(|party| party.state == PartyState::Rejected)?;
    Some((&party.name, party.message.as_deref().unwrap_or("its data cannot be used")))
}

fn open_entry<'a>(status: &'a mut LinkageProjectStatus, party: &str) -> Option<&'a mut PartyStatus> {
    status.parties.iter_mut().find(|entry| entry.name == party && entry.state != PartyState::Contributed)
}

fn reject(entry: &mut PartyStatus, refusal: Refusal) {
    *entry = PartyStatus {
        name: entry.name.clone(),
        state: PartyState::Rejected,
        reason: Some(refusal.reason),
        message: Some(refusal.message),
        source_version: entry.source_version.clone(),
        ..PartyStatus::default()
    };
}

fn encoding_size_refusal(
    spec: &LinkageProjectSpec,
    status: &LinkageProjectStatus,
    party: &str,
    encoding_bytes: u32,
) -> Option<Refusal> {
    let refusal = |expected: String| {
        Some(Refusal {
            reason: PartyReason::EncodingSizeMismatch.to_string(),
            message: format!(
                "the encodings of party {party} have {} bits, but {expected}; encode with the same schema as the \
                 other parties and contribute again",
                u64::from(encoding_bytes) * 8
            ),
        })
    };
    if let Some(bits) = spec.encoding.as_ref().and_then(|encoding| encoding.bits)
        && i64::from(bits) != i64::from(encoding_bytes) * 8
    {
        return refusal(format!("the project's encoding.bits is {bits}"));
    }
    let other = status.parties.iter().find(|entry| {
        entry.name != party
            && entry.state == PartyState::Contributed
            && entry.encoding_bytes.map(i64::from) != Some(i64::from(encoding_bytes))
    })?;
    let other_bits = i64::from(other.encoding_bytes.unwrap_or_default()) * 8;
    refusal(format!("those that party {} contributed have {other_bits}", other.name))
}

fn sum_up(spec: &LinkageProjectSpec, status: &mut LinkageProjectStatus) {
    let contributed = status.parties.iter().filter(|entry| entry.state == PartyState::Contributed);
    status.contributed = Some(format!("{}/{}", contributed.clone().count(), spec.parties.len()));
    status.records = Some(contributed.filter_map(|entry| entry.records).sum());
}

fn saturating_i64(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Encoding, Party, ResultType};

    fn spec() -> LinkageProjectSpec {
        let party = |name: &str| Party { name: name.into(), source: None };
        LinkageProjectSpec {
            title: String::new(),
            notes: String::new(),
            result_type: ResultType::Groups,
            parties: vec![party("a"), party("b")],
            blocking: crate::Blocking::None,
            encoding: None,
            paillier_public_key: None,
            token_generation: 1,
            retention: None,
        }
    }

    fn data(encoding_bytes: u32) -> PartyData {
        PartyData {
            records: 10,
            encoding_bytes,
            encodings: "key".into(),
            blocks: None,
            blake3: "00".into(),
            records_without_block: None,
        }
    }

    fn claimed(spec: &LinkageProjectSpec, claims: &[(&str, u32)]) -> (LinkageProjectStatus, Vec<Outcome>) {
        let mut status = LinkageProjectStatus::default();
        let outcomes = claims
            .iter()
            .map(|(party, bytes)| claim(spec, &mut status, party, &data(*bytes), Timestamp::UNIX_EPOCH))
            .collect();
        (status, outcomes)
    }

    #[test]
    fn all_parties_contribute() {
        let (status, outcomes) = claimed(&spec(), &[("b", 128), ("a", 128)]);
        assert_eq!(outcomes, [Outcome::Accepted, Outcome::Accepted]);
        assert_eq!(status.contributed.as_deref(), Some("2/2"));
        assert_eq!(status.records, Some(20));
        assert_eq!(status.parties[0].name, "a");
        assert!(is_complete(&spec(), &status));
    }

    #[test]
    fn the_first_contribution_stays() {
        let (status, outcomes) = claimed(&spec(), &[("a", 128), ("a", 128)]);
        assert_eq!(outcomes, [Outcome::Accepted, Outcome::AlreadyContributed]);
        let mut after = status.clone();
        refuse(&spec(), &mut after, "a", Refusal { reason: "MalformedJson".into(), message: String::new() });
        assert_eq!(after, status);
    }

    #[test]
    fn a_broken_upload_is_noted_and_rejects_nobody() {
        let refusal = || Refusal { reason: "MalformedJson".into(), message: "line 1".into() };
        let mut status = LinkageProjectStatus::default();
        note_failed_upload(&spec(), &mut status, "b", refusal());
        assert_eq!(status.parties[1].state, PartyState::Waiting);
        assert_eq!(status.parties[1].reason.as_deref(), Some("MalformedJson"));
        assert_eq!(status.contributed.as_deref(), Some("0/2"));

        let (contributed, _) = claimed(&spec(), &[("a", 128)]);
        let mut after = contributed.clone();
        note_failed_upload(&spec(), &mut after, "a", refusal());
        assert_eq!(after, contributed);
        assert_eq!(claim(&spec(), &mut status, "b", &data(128), Timestamp::UNIX_EPOCH), Outcome::Accepted);
        assert_eq!(status.parties[1].reason, None);
    }

    #[test]
    fn a_stranger_has_no_place() {
        assert_eq!(claimed(&spec(), &[("c", 128)]).1, [Outcome::AlreadyContributed]);
    }

    #[test]
    fn unequal_sizes_are_rejected_and_may_be_contributed_again() {
        let (status, outcomes) = claimed(&spec(), &[("a", 128), ("b", 64), ("b", 128)]);
        assert_eq!(outcomes, [Outcome::Accepted, Outcome::Rejected, Outcome::Accepted]);
        assert!(is_complete(&spec(), &status));
        let (status, _) = claimed(&spec(), &[("a", 128), ("b", 64)]);
        assert_eq!(status.parties[1].state, PartyState::Rejected);
        assert_eq!(status.parties[1].reason.as_deref(), Some("EncodingSizeMismatch"));
        let message = status.parties[1].message.clone().unwrap();
        assert!(message.contains("party b have 512 bits") && message.contains("party a"), "{message}");
    }

    #[test]
    fn the_projects_own_size_counts() {
        let fixed = LinkageProjectSpec {
            encoding: Some(Encoding { bits: Some(512), ..Encoding::default() }),
            ..spec()
        };
        let (_, outcomes) = claimed(&fixed, &[("a", 128), ("a", 64)]);
        assert_eq!(outcomes, [Outcome::Rejected, Outcome::Accepted]);
    }
}
