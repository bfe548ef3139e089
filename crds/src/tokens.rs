//! Capability tokens: who holds one may do one thing to one project.
//!
//! A token is the HMAC-SHA256, under the installation's master key, of the project's uid, a role, a party and the
//! project's `tokenGeneration`, cut to 24 bytes and written as 48 hex digits. Nothing is stored or looked up, a
//! token is useless for any other project, and raising the generation makes all earlier ones useless; raising a party's
//! generation those of that party. When tokens expire is not in them: the project says it, so that it can be changed.

use k8s_openapi::jiff::Timestamp;

use crate::{LinkageProject, LinkageProjectSpec};

use base64_simd::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::webhook::SECRET_PREFIX;

/// Characters of a token.
pub const TOKEN_LENGTH: usize = 48;

/// The least length of a master key, in bytes.
pub const MIN_MASTER_KEY_LENGTH: usize = 32;

/// What a token allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role<'a> {
    /// To upload this party's encodings.
    Update(&'a str),
    /// To read this party's permutation, and the state of the project and its runs.
    Receipt(&'a str),
    /// To create and read runs, to read results, and to delete.
    Result,
}

impl<'a> Role<'a> {
    /// The party that the token is of.
    pub fn party(self) -> Option<&'a str> {
        match self {
            Self::Update(party) | Self::Receipt(party) => Some(party),
            Self::Result => None,
        }
    }
}

/// The installation's secret. It never shows in debug output.
#[derive(Clone)]
pub struct MasterKey(Vec<u8>);

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// The master key is too short to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyTooShort;

impl std::fmt::Display for KeyTooShort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the master key must have at least {MIN_MASTER_KEY_LENGTH} bytes")
    }
}

impl std::error::Error for KeyTooShort {}

/// What identifies a project to tokens: its uid, and the generations of its tokens.
#[derive(Clone, Copy, Debug)]
pub struct TokenScope<'a> {
    /// `metadata.uid` of the project: never used again, unlike its name.
    pub project_uid: &'a str,
    /// `spec.tokenGeneration`.
    pub generation: i64,
    /// `tokenGeneration` of the party that the token is of; 1 where there is none.
    pub party_generation: i64,
}

impl<'a> TokenScope<'a> {
    /// What a project's token for a role depends on.
    pub fn of(project: &'a LinkageProject, role: Role<'_>) -> Self {
        let party = project.spec.parties.iter().find(|party| Some(party.name.as_str()) == role.party());
        Self {
            project_uid: project.metadata.uid.as_deref().unwrap_or_default(),
            generation: project.spec.token_generation,
            party_generation: party.and_then(|party| party.token_generation).unwrap_or(1),
        }
    }
}

/// From when on the token for a role opens nothing any more; none if it never expires.
pub fn expiry(spec: &LinkageProjectSpec, role: Role<'_>) -> Option<Timestamp> {
    let party = spec.parties.iter().find(|party| Some(party.name.as_str()) == role.party());
    let own = party.and_then(|party| party.tokens_expire_at.as_ref());
    own.or(spec.tokens_expire_at.as_ref()).map(|time| time.0)
}

impl MasterKey {
    /// Takes the bytes of a key, such as the content of a mounted file; white space around it does not count.
    ///
    /// # Errors
    /// Fails when fewer than [`MIN_MASTER_KEY_LENGTH`] bytes are left.
    pub fn new(bytes: &[u8]) -> Result<Self, KeyTooShort> {
        let trimmed = bytes.trim_ascii();
        if trimmed.len() < MIN_MASTER_KEY_LENGTH {
            return Err(KeyTooShort);
        }
        Ok(Self(trimmed.to_vec()))
    }

    /// The token for a role in a project: 48 hex digits.
    pub fn token(&self, scope: TokenScope<'_>, role: Role<'_>) -> String {
        hex::encode(&self.code(scope, role)[..TOKEN_LENGTH / 2])
    }

    /// Whether a token is the one for a role in a project, in time that does not depend on where it differs.
    pub fn verify(&self, scope: TokenScope<'_>, role: Role<'_>, token: &str) -> bool {
        self.token(scope, role).as_bytes().ct_eq(token.as_bytes()).into()
    }

    /// By what a rotation of a project's tokens is known again when its answer was lost, and nothing of what it was asked
    /// with: 64 hex digits.
    pub fn rotation(&self, project_uid: &str, asked_with: &str) -> String {
        hex::encode(self.mac(&[b"rotation", project_uid.as_bytes(), asked_with.as_bytes()]))
    }

    /// The secret by which a project's webhooks are signed: 32 bytes in base64 after [`SECRET_PREFIX`], as
    /// <https://www.standardwebhooks.com> has it. It changes with the generation, as tokens do.
    pub fn webhook_secret(&self, scope: TokenScope<'_>) -> String {
        format!("{SECRET_PREFIX}{}", STANDARD.encode_to_string(self.webhook_key(scope)))
    }

    /// The same as bytes.
    pub fn webhook_key(&self, scope: TokenScope<'_>) -> [u8; 32] {
        self.mac(&[b"webhook", scope.project_uid.as_bytes(), &scope.generation.to_be_bytes()])
    }

    /// What tells this key and a namespace from any other, and nothing of the key itself: 64 hex digits.
    pub fn fingerprint(&self, namespace: &str) -> String {
        hex::encode(self.mac(&[b"fingerprint", namespace.as_bytes()]))
    }

    /// A short name for something that must not be known itself, such as a token in a log: 16 hex digits, always the same under
    /// this key. The purpose keeps names of different kinds apart.
    pub fn pseudonym(&self, purpose: &str, secret: &[u8]) -> String {
        hex::encode(&self.mac(&[b"pseudonym", purpose.as_bytes(), secret])[..8])
    }

    fn code(&self, scope: TokenScope<'_>, role: Role<'_>) -> [u8; 32] {
        let (role, party) = match role {
            Role::Update(party) => ("update", party),
            Role::Receipt(party) => ("receipt", party),
            Role::Result => ("result", ""),
        };
        let generation = scope.generation.to_be_bytes();
        let party_generation = scope.party_generation.to_be_bytes();
        let fields =
            [scope.project_uid.as_bytes(), role.as_bytes(), party.as_bytes(), &generation, &party_generation];
        // tokens of the first generation are what they were before parties had one
        if scope.party_generation > 1 { self.mac(&fields) } else { self.mac(&fields[..4]) }
    }

    fn mac(&self, fields: &[&[u8]]) -> [u8; 32] {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of every length");
        // each field with its length in front, so that no two different lists of fields give the same bytes
        for field in fields {
            mac.update(&(field.len() as u64).to_be_bytes());
            mac.update(field);
        }
        mac.finalize().into_bytes().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> MasterKey {
        MasterKey::new(&[7; 32]).unwrap()
    }

    const SCOPE: TokenScope<'static> = TokenScope { project_uid: "0b5c", generation: 1, party_generation: 1 };

    #[test]
    fn a_token_is_48_hex_digits_and_always_the_same() {
        let token = key().token(SCOPE, Role::Result);
        assert_eq!(token.len(), TOKEN_LENGTH);
        assert!(token.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c)));
        assert_eq!(token, key().token(SCOPE, Role::Result));
        assert!(key().verify(SCOPE, Role::Result, &token));
    }

    #[test]
    fn a_token_opens_nothing_else() {
        let token = key().token(SCOPE, Role::Update("a"));
        let other_key = MasterKey::new(&[8; 32]).unwrap();
        assert!(!key().verify(SCOPE, Role::Update("b"), &token));
        assert!(!key().verify(SCOPE, Role::Receipt("a"), &token));
        assert!(!key().verify(SCOPE, Role::Result, &token));
        assert!(!key().verify(TokenScope { project_uid: "0b5d", ..SCOPE }, Role::Update("a"), &token));
        assert!(!key().verify(TokenScope { generation: 2, ..SCOPE }, Role::Update("a"), &token));
        assert!(!key().verify(TokenScope { party_generation: 2, ..SCOPE }, Role::Update("a"), &token));
        assert!(!other_key.verify(SCOPE, Role::Update("a"), &token));
        assert!(!key().verify(SCOPE, Role::Update("a"), &token[..47]));
        assert!(!key().verify(SCOPE, Role::Update("a"), ""));
    }

    /// They are in the hands of people.
    #[test]
    fn tokens_that_were_handed_out_by_earlier_versions_stay_good() {
        let token = key().token(SCOPE, Role::Update("a"));
        assert_eq!(token, "6bdfa03a3abefcadd3a21f14121ec1e0e30ac26956e05f15");
    }

    fn project(parties: serde_json::Value) -> LinkageProject {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "pprl.dev/v1alpha1", "kind": "LinkageProject", "metadata": {"name": "p", "uid": "0b5c"},
            "spec": {"resultType": "Groups", "parties": parties, "tokensExpireAt": "2030-01-01T00:00:00Z"}
        }))
        .unwrap()
    }

    #[test]
    fn raising_a_partys_generation_changes_its_tokens_alone() {
        let before = project(serde_json::json!([{"name": "a"}, {"name": "b"}]));
        let first = project(serde_json::json!([{"name": "a", "tokenGeneration": 1}, {"name": "b"}]));
        let after = project(serde_json::json!([{"name": "a", "tokenGeneration": 2}, {"name": "b"}]));
        let token = |project, role| key().token(TokenScope::of(project, role), role);
        for role in [Role::Update("a"), Role::Receipt("a")] {
            assert_eq!(token(&first, role), token(&before, role));
            assert_ne!(token(&after, role), token(&before, role));
        }
        for role in [Role::Update("b"), Role::Receipt("b"), Role::Result] {
            assert_eq!(token(&after, role), token(&before, role));
        }
    }

    #[test]
    fn a_partys_own_time_counts_before_the_projects() {
        let project = project(
            serde_json::json!([{"name": "a", "tokensExpireAt": "2031-01-01T00:00:00Z"}, {"name": "b"}]),
        );
        let of = |role| expiry(&project.spec, role).unwrap().to_string();
        assert_eq!(of(Role::Update("a")), "2031-01-01T00:00:00Z");
        assert_eq!(of(Role::Receipt("a")), "2031-01-01T00:00:00Z");
        for role in [Role::Update("b"), Role::Result] {
            assert_eq!(of(role), "2030-01-01T00:00:00Z");
        }
    }

    #[test]
    fn a_pseudonym_depends_on_key_purpose_and_secret() {
        let name = key().pseudonym("token", b"a");
        assert_eq!(name, key().pseudonym("token", b"a"));
        assert_eq!(name.len(), 16);
        let other_key = MasterKey::new(&[8; 32]).unwrap();
        for other in [
            other_key.pseudonym("token", b"a"),
            key().pseudonym("address", b"a"),
            key().pseudonym("token", b"b"),
        ] {
            assert_ne!(name, other);
        }
    }

    #[test]
    fn a_webhook_secret_is_one_projects_and_generations_own() {
        let secret = key().webhook_secret(SCOPE);
        let bytes = STANDARD.decode_to_vec(secret.strip_prefix(SECRET_PREFIX).unwrap()).unwrap();
        assert_eq!(bytes, key().webhook_key(SCOPE));
        for other in [TokenScope { project_uid: "0b5d", ..SCOPE }, TokenScope { generation: 2, ..SCOPE }] {
            assert_ne!(key().webhook_secret(other), secret);
        }
        assert_ne!(hex::encode(&bytes[..TOKEN_LENGTH / 2]), key().token(SCOPE, Role::Result));
    }

    #[test]
    fn a_key_is_long_enough_and_never_printed() {
        assert_eq!(MasterKey::new(b"   short \n").unwrap_err(), KeyTooShort);
        assert_eq!(format!("{:?}", key()), "MasterKey(…)");
    }
}
