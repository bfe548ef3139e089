//! Capability tokens: who holds one may do one thing to one project.
//!
//! A token is the HMAC-SHA256, under the installation's master key, of the project's uid, a role, a party and the
//! project's `tokenGeneration`, cut to 24 bytes and written as 48 hex digits. Nothing is stored or looked up, a
//! token is useless for any other project, and raising the generation makes all earlier ones useless.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

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

/// What identifies a project to tokens: its uid, and the generation of its tokens.
#[derive(Clone, Copy, Debug)]
pub struct TokenScope<'a> {
    /// `metadata.uid` of the project: never used again, unlike its name.
    pub project_uid: &'a str,
    /// `spec.tokenGeneration`.
    pub generation: i64,
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

    /// What tells this key and a namespace from any other, and nothing of the key itself: 64 hex digits.
    pub fn fingerprint(&self, namespace: &str) -> String {
        hex::encode(self.mac(&[b"fingerprint", namespace.as_bytes()]))
    }

    fn code(&self, scope: TokenScope<'_>, role: Role<'_>) -> [u8; 32] {
        let (role, party) = match role {
            Role::Update(party) => ("update", party),
            Role::Receipt(party) => ("receipt", party),
            Role::Result => ("result", ""),
        };
        let generation = scope.generation.to_be_bytes();
        self.mac(&[scope.project_uid.as_bytes(), role.as_bytes(), party.as_bytes(), &generation])
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

    const SCOPE: TokenScope<'static> = TokenScope { project_uid: "0b5c", generation: 1 };

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
        assert!(!other_key.verify(SCOPE, Role::Update("a"), &token));
        assert!(!key().verify(SCOPE, Role::Update("a"), &token[..47]));
        assert!(!key().verify(SCOPE, Role::Update("a"), ""));
    }

    #[test]
    fn a_key_is_long_enough_and_never_printed() {
        assert_eq!(MasterKey::new(b"   short \n").unwrap_err(), KeyTooShort);
        assert_eq!(format!("{:?}", key()), "MasterKey(…)");
    }
}
