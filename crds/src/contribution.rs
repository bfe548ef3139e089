//! Which data counts as a party's contribution: decided in one place, for uploads over REST and for source objects.
//!
//! The decision is made on a status as it was read; it holds only if that very status can be replaced
//! (`resourceVersion`), which makes one of two racing uploads win.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use crate::conditions::PartyReason;
use crate::{AnnouncedObjects, LinkageProjectSpec, LinkageProjectStatus, PartyState, PartyStatus};

/// Begins the names of the folders in the store, below a party's, that hold what Jobs have made of its source objects.
pub const SOURCE_FOLDER: &str = "source-";

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
    /// BLAKE3 of the blocks, in hex.
    pub blocks_blake3: Option<String>,
    /// Records that are in no block; none without blocking.
    pub records_without_block: Option<u64>,
    /// What of the data was not used, and why.
    pub warning: Option<String>,
}

/// What became of the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is the party's contribution.
    Accepted,
    /// It cannot be linked: the party may contribute again, and the stored objects are to be deleted.
    Rejected,
    /// The party has contributed this very content before: that is its contribution, and the stored objects are to be
    /// deleted.
    Repeated,
    /// The party has contributed other data before: the stored objects are to be deleted.
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
    if holds(status, party, data) {
        return Outcome::Repeated;
    }
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
                message: data.warning.clone(),
                records: Some(saturating_i64(data.records)),
                encoding_bytes: Some(i32::try_from(data.encoding_bytes).unwrap_or(i32::MAX)),
                contributed_at: Some(Time(now)),
                encodings: Some(data.encodings.clone()),
                blocks: data.blocks.clone(),
                blake3: Some(data.blake3.clone()),
                blocks_blake3: data.blocks_blake3.clone(),
                records_without_block: data.records_without_block.map(saturating_i64),
                announced: None,
                source_version: entry.source_version.clone(),
            };
            Outcome::Accepted
        }
    };
    sum_up(spec, status);
    outcome
}

/// Whether a party has contributed this very content: the same records, encodings and blocks, in the same order.
pub fn holds(status: &LinkageProjectStatus, party: &str, data: &PartyData) -> bool {
    let contributed = |entry: &&PartyStatus| entry.name == party && entry.state == PartyState::Contributed;
    status.parties.iter().find(contributed).is_some_and(|entry| {
        // blocks that an earlier version took in have no hash: they are the same as no others
        let knows_blocks = entry.blocks.is_none() || entry.blocks_blake3.is_some();
        knows_blocks
            && entry.records == Some(saturating_i64(data.records))
            && entry.encoding_bytes.map(i64::from) == Some(i64::from(data.encoding_bytes))
            && entry.blake3.as_ref() == Some(&data.blake3)
            && entry.blocks.is_some() == data.blocks.is_some()
            && entry.blocks_blake3 == data.blocks_blake3
    })
}

/// What became of a party's wish to take its data back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Withdrawal {
    /// The party has contributed nothing now. The key of the encodings that it had contributed, if it had: they are to be
    /// deleted, with all that is in their folder.
    Withdrawn(Option<String>),
    /// A run has begun with the data: it stays.
    RunHasBegun,
    /// The data comes from source objects, from which it would be read again at once.
    FromSource,
}

/// Takes a party's data back, and what was said of it.
pub fn withdraw(spec: &LinkageProjectSpec, status: &mut LinkageProjectStatus, party: &str) -> Withdrawal {
    list_all_parties(spec, status);
    let has_begun = status.first_run.is_some();
    let Some(entry) = status.parties.iter_mut().find(|entry| entry.name == party) else {
        return Withdrawal::Withdrawn(None);
    };
    let contributed = entry.state == PartyState::Contributed;
    if contributed && has_begun {
        return Withdrawal::RunHasBegun;
    }
    // what a party has announced was read by a Job as well, but is not read again
    let has_source = spec.parties.iter().any(|known| known.name == party && known.source.is_some());
    if contributed && has_source && entry.encodings.as_deref().is_some_and(is_from_source) {
        return Withdrawal::FromSource;
    }
    let encodings = entry.encodings.take().filter(|_| contributed);
    *entry = PartyStatus { name: entry.name.clone(), ..PartyStatus::default() };
    sum_up(spec, status);
    Withdrawal::Withdrawn(encodings)
}

/// Whether a key is of what a Job has made of source objects.
fn is_from_source(encodings: &str) -> bool {
    encodings.rsplit('/').nth(1).is_some_and(|folder| folder.starts_with(SOURCE_FOLDER))
}

/// What became of an announcement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announcement {
    /// The objects will be read, if they have not been announced before.
    Noted,
    /// The party has contributed before.
    AlreadyContributed,
    /// Other objects that it has announced are being read.
    UnderWay,
}

/// Notes objects that a party has put into the store by itself: they are read from there, whatever becomes of whoever noted
/// them. The same ones may be announced again at any time, others once the first are known to be of no use.
pub fn announce(
    spec: &LinkageProjectSpec,
    status: &mut LinkageProjectStatus,
    party: &str,
    objects: AnnouncedObjects,
) -> Announcement {
    list_all_parties(spec, status);
    let Some(entry) = open_entry(status, party) else { return Announcement::AlreadyContributed };
    if is_being_read(entry) {
        let same = entry.announced.as_ref() == Some(&objects);
        return if same { Announcement::Noted } else { Announcement::UnderWay };
    }
    *entry = PartyStatus { name: entry.name.clone(), announced: Some(objects), ..PartyStatus::default() };
    sum_up(spec, status);
    Announcement::Noted
}

/// Whether objects that the party has announced are being read, or will be, and nothing is known to be wrong with them.
pub fn is_being_read(party: &PartyStatus) -> bool {
    party.announced.is_some() && party.reason.is_none()
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

/// Where a message about a party's data begins to tell of another party's.
const OTHERS_DATA: &str = "those that party ";

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

/// What a party may read of why its data was refused: nothing of another party's.
pub fn message_to_party(entry: &PartyStatus) -> Option<String> {
    let message = entry.message.clone()?;
    let Some((own, others)) = message.split_once(OTHERS_DATA) else { return Some(message) };
    let way_out = others.find(';').map_or("", |end| &others[end..]);
    Some(format!("{own}that is not the size of the encodings that are there already{way_out}"))
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
    refusal(format!("{OTHERS_DATA}{} contributed have {other_bits}", other.name))
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
        LinkageProjectSpec {
            title: String::new(),
            notes: String::new(),
            result_type: ResultType::Groups,
            parties: vec![Party::new("a"), Party::new("b")],
            blocking: crate::Blocking::None,
            encoding: None,
            paillier_public_key: None,
            token_generation: 1,
            tokens_expire_at: None,
            retention: None,
            webhook: None,
        }
    }

    fn data(encoding_bytes: u32) -> PartyData {
        PartyData {
            records: 10,
            encoding_bytes,
            encodings: "key".into(),
            blocks: None,
            blake3: "00".into(),
            blocks_blake3: None,
            records_without_block: None,
            warning: None,
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
        let (status, outcomes) = claimed(&spec(), &[("a", 128), ("a", 64)]);
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
    fn what_of_accepted_data_was_not_used_is_told_on_the_party() {
        let mut status = LinkageProjectStatus::default();
        let data = PartyData { warning: Some("the key \"meta\" was ignored".into()), ..data(128) };
        assert_eq!(claim(&spec(), &mut status, "a", &data, Timestamp::UNIX_EPOCH), Outcome::Accepted);
        let party = &status.parties[0];
        assert_eq!((party.state, party.reason.as_deref()), (PartyState::Contributed, None));
        assert_eq!(party.message, data.warning);
    }

    #[test]
    fn what_is_announced_is_noted_until_it_is_known_what_came_of_it() {
        let objects =
            |name: &str| AnnouncedObjects { encodings: format!("uploads/1/0/{name}"), blocks: None };
        let (spec, mut status) = (spec(), LinkageProjectStatus::default());
        let announce = |status: &mut _, name| announce(&spec, status, "a", objects(name));
        assert_eq!(announce(&mut status, "x"), Announcement::Noted);
        assert_eq!(status.parties[0].announced, Some(objects("x")));
        // the answer may have been lost
        assert_eq!(announce(&mut status, "x"), Announcement::Noted);
        assert_eq!(announce(&mut status, "y"), Announcement::UnderWay);
        status.parties[0].reason = Some("SourceNotFound".into());
        assert_eq!(announce(&mut status, "y"), Announcement::Noted);
        assert_eq!((&status.parties[0].announced, &status.parties[0].reason), (&Some(objects("y")), &None));
        let refusal = Refusal { reason: "MalformedJson".into(), message: "line 1".into() };
        refuse(&spec, &mut status, "a", refusal);
        assert_eq!((status.parties[0].state, &status.parties[0].announced), (PartyState::Rejected, &None));
        assert_eq!(announce(&mut status, "y"), Announcement::Noted);
        assert_eq!(status.parties[0].state, PartyState::Waiting, "it is judged anew");
        assert_eq!(claim(&spec, &mut status, "a", &data(128), Timestamp::UNIX_EPOCH), Outcome::Accepted);
        assert_eq!(status.parties[0].announced, None);
        assert_eq!(announce(&mut status, "z"), Announcement::AlreadyContributed);
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
        let told = message_to_party(&status.parties[1]).unwrap();
        assert_eq!(
            told,
            "the encodings of party b have 512 bits, but that is not the size of the encodings that are there already; \
             encode with the same schema as the other parties and contribute again"
        );
    }

    #[test]
    fn the_same_content_is_the_same_contribution_wherever_it_lies() {
        let blocked =
            PartyData { blocks: Some("k/blocks".into()), blocks_blake3: Some("11".into()), ..data(128) };
        for first in [data(128), blocked.clone()] {
            let mut status = LinkageProjectStatus::default();
            claim(&spec(), &mut status, "a", &first, Timestamp::UNIX_EPOCH);
            let contributed = status.clone();
            let again = PartyData { encodings: "elsewhere".into(), ..first.clone() };
            assert_eq!(claim(&spec(), &mut status, "a", &again, Timestamp::UNIX_EPOCH), Outcome::Repeated);
            let mut others = vec![
                PartyData { blake3: "01".into(), ..again.clone() },
                PartyData { records: again.records + 1, ..again.clone() },
                PartyData { encoding_bytes: 64, ..again.clone() },
                PartyData { blocks: Some("b".into()), blocks_blake3: Some("12".into()), ..again.clone() },
            ];
            if first.blocks.is_some() {
                others.push(PartyData { blocks: None, blocks_blake3: None, ..again.clone() });
            }
            for other in others {
                let outcome = claim(&spec(), &mut status, "a", &other, Timestamp::UNIX_EPOCH);
                assert_eq!(outcome, Outcome::AlreadyContributed, "{other:?}");
            }
            assert_eq!(status, contributed);
            // the same content of another party is that party's own contribution
            assert_eq!(claim(&spec(), &mut status, "b", &first, Timestamp::UNIX_EPOCH), Outcome::Accepted);
        }
        // an earlier version noted no hash of blocks
        let unhashed = PartyData { blocks_blake3: None, ..blocked.clone() };
        let mut status = LinkageProjectStatus::default();
        claim(&spec(), &mut status, "a", &unhashed, Timestamp::UNIX_EPOCH);
        for again in [blocked, unhashed] {
            let outcome = claim(&spec(), &mut status, "a", &again, Timestamp::UNIX_EPOCH);
            assert_eq!(outcome, Outcome::AlreadyContributed);
        }
    }

    #[test]
    fn a_party_withdraws_its_data_until_a_run_has_begun() {
        let (contributed, _) = claimed(&spec(), &[("a", 128), ("b", 128)]);
        let mut status = contributed.clone();
        let key = contributed.parties[0].encodings.clone();
        assert_eq!(withdraw(&spec(), &mut status, "a"), Withdrawal::Withdrawn(key));
        let nothing = PartyStatus { name: "a".into(), ..PartyStatus::default() };
        assert_eq!(status.parties, [nothing, contributed.parties[1].clone()]);
        assert_eq!(status.contributed.as_deref(), Some("1/2"));
        assert_eq!(withdraw(&spec(), &mut status, "a"), Withdrawal::Withdrawn(None));
        // data of another size fits when the other party's is gone
        withdraw(&spec(), &mut status, "b");
        assert_eq!(claim(&spec(), &mut status, "a", &data(64), Timestamp::UNIX_EPOCH), Outcome::Accepted);

        let mut begun = LinkageProjectStatus { first_run: Some("r".into()), ..contributed };
        let before = begun.clone();
        assert_eq!(withdraw(&spec(), &mut begun, "a"), Withdrawal::RunHasBegun);
        assert_eq!(begun, before);
    }

    #[test]
    fn data_that_was_refused_is_withdrawn_with_what_was_said_of_it() {
        let (mut status, _) = claimed(&spec(), &[("a", 128), ("b", 64)]);
        assert_eq!(status.parties[1].state, PartyState::Rejected);
        assert_eq!(withdraw(&spec(), &mut status, "b"), Withdrawal::Withdrawn(None));
        assert_eq!(status.parties[1], PartyStatus { name: "b".into(), ..PartyStatus::default() });
    }

    #[test]
    fn data_from_source_objects_is_not_withdrawn() {
        let from = |folder: &str| PartyData {
            encodings: format!("projects/i-u/parties/0/{folder}/encodings"),
            ..data(128)
        };
        let mut with_source = spec();
        with_source.parties[0].source = Some(crate::Source { encodings: "in/a".into(), blocks: None });
        let mut status = LinkageProjectStatus::default();
        claim(&with_source, &mut status, "a", &from("source-aa"), Timestamp::UNIX_EPOCH);
        let before = status.clone();
        assert_eq!(withdraw(&with_source, &mut status, "a"), Withdrawal::FromSource);
        assert_eq!(status, before);
        // what was announced once is not read again
        assert!(matches!(withdraw(&spec(), &mut status, "a"), Withdrawal::Withdrawn(Some(_))));
        let mut status = LinkageProjectStatus::default();
        claim(&spec(), &mut status, "a", &from("aa"), Timestamp::UNIX_EPOCH);
        assert!(matches!(withdraw(&spec(), &mut status, "a"), Withdrawal::Withdrawn(Some(_))));
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
