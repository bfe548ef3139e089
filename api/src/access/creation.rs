//! Who may create projects: anybody, the holders of a creation token, or those users of the cluster whom Kubernetes' RBAC
//! lets create `linkageprojects`.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use clap::{Args, ValueEnum};
use crds::tokens::MasterKey;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use crate::App;
use crate::access::caller;
use crate::access::identity::{Identities, Reading, kubernetes_token};
use crate::error::Error;

/// For how long it is remembered whether a user may create projects.
const MEMORY: Duration = Duration::from_secs(30);
/// How many users are remembered.
const MAX_REMEMBERED: usize = 1_000;
/// Most bytes of the file with creation tokens.
const MAX_FILE: u64 = 64 << 10;
/// Least characters of a creation token.
const MIN_TOKEN: usize = 16;

/// Who may create projects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Creators {
    /// Anybody who reaches the service; the Authorization header does not count.
    #[default]
    Anyone,
    /// Holders of a creation token.
    Tokens,
    /// Users of the cluster who may create linkageprojects.
    Users,
}

/// Who may create projects.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Creating projects")]
pub struct CreationArgs {
    /// Who may create projects: anyone, holders of one of the --creation-tokens-file (Authorization: TOKEN), or users of the
    /// cluster who may create linkageprojects (Authorization: Bearer …). The last needs the right to create TokenReviews and
    /// SubjectAccessReviews
    #[arg(long, env = "PROJECT_CREATORS", value_enum, default_value_t)]
    pub project_creators: Creators,

    /// File with creation tokens, one a line, of 16 characters at least. It is read again each time
    #[arg(
        long,
        env = "CREATION_TOKENS_FILE",
        value_name = "FILE",
        required_if_eq("project_creators", "tokens")
    )]
    pub creation_tokens_file: Option<PathBuf>,

    /// For whom the Kubernetes tokens of users who create projects must be (their audience), so that a token that was made for
    /// something else is of no use here
    #[arg(long, env = "CREATION_AUDIENCE", value_name = "AUDIENCE", default_value = "linkage-operator")]
    pub creation_audience: String,
}

/// Judges who may create projects.
pub enum Creation {
    /// Anybody.
    Anyone,
    /// Whoever holds one of the tokens in the file.
    Tokens {
        /// The file.
        file: PathBuf,
        /// Makes the time of a comparison independent of where tokens differ.
        key: MasterKey,
    },
    /// Whoever Kubernetes lets.
    Users(Box<Users>),
}

/// Users of the cluster who may create projects.
pub struct Users {
    identities: Identities,
    audience: String,
    hasher: RandomState,
    /// By the hash of a token: the user, if they may.
    known: Mutex<HashMap<u64, (Instant, Option<String>)>>,
}

/// Who creates a project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Creator {
    /// Anybody.
    Anyone,
    /// The holder of a creation token.
    TokenHolder,
    /// A user of the cluster, by name.
    User(String),
}

impl Creation {
    async fn judge(&self, token: Option<&str>) -> Result<Creator, Error> {
        match self {
            Self::Anyone => Ok(Creator::Anyone),
            Self::Tokens { file, key } => {
                let token = token.ok_or(Error::MissingToken)?;
                let tokens = read(file).await?;
                let name = |token: &str| key.pseudonym("creation", token.as_bytes());
                let given = name(token.trim());
                // all of them, whichever it is
                let known = tokens.lines().map(str::trim).filter(|token| token.len() >= MIN_TOKEN);
                let found = known.fold(false, |found, token| found | (name(token) == given));
                if found { Ok(Creator::TokenHolder) } else { Err(Error::MayNotCreate) }
            }
            Self::Users(users) => {
                let token = kubernetes_token(token.ok_or(Error::MissingToken)?).ok_or(Error::MayNotCreate)?;
                users.judge(token).await.map(Creator::User)
            }
        }
    }
}

impl Users {
    /// Users whose tokens are for this audience.
    pub fn new(identities: Identities, audience: &str) -> Self {
        Self { identities, audience: audience.into(), hasher: RandomState::new(), known: Mutex::default() }
    }

    async fn judge(&self, token: &str) -> Result<String, Error> {
        let hash = self.hasher.hash_one(token);
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&hash).cloned();
        if let Some((_, user)) = known.filter(|(since, _)| since.elapsed() < MEMORY) {
            return user.ok_or(Error::MayNotCreate);
        }
        let user = match self.ask(token).await {
            Ok(user) => Some(user),
            Err(Error::Forbidden) => None,
            Err(error) => return Err(error),
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_REMEMBERED {
            known.retain(|_, (since, _)| since.elapsed() < MEMORY);
        }
        if known.len() < MAX_REMEMBERED {
            known.insert(hash, (Instant::now(), user.clone()));
        }
        user.ok_or(Error::MayNotCreate)
    }

    async fn ask(&self, token: &str) -> Result<String, Error> {
        let identity = self.identities.of_audience(token, &self.audience).await?;
        self.identities.allow(&identity, Reading::CreateProject).await?;
        Ok(identity.name().to_owned())
    }
}

async fn read(file: &PathBuf) -> Result<String, Error> {
    let failed =
        |error: std::io::Error| Error::Internal(format!("the creation tokens cannot be read: {error}"));
    let mut text = String::new();
    let opened = tokio::fs::File::open(file).await.map_err(failed)?;
    opened.take(MAX_FILE).read_to_string(&mut text).await.map_err(failed)?;
    Ok(text)
}

impl FromRequestParts<Arc<App>> for Creator {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Error> {
        // what is no text is no token either, but it is not missing
        let token = parts.headers.get(AUTHORIZATION).map(|token| token.to_str().unwrap_or_default());
        let creator = app.creation.judge(token).await?;
        if creator != Self::Anyone {
            caller::verified();
        }
        Ok(creator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_tokens_in_the_file_count_and_short_lines_are_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens");
        std::fs::write(&file, "0123456789abcdef\n\nshort\n  fedcba9876543210  \n").unwrap();
        let creation = Creation::Tokens { file: file.clone(), key: MasterKey::new(&[1; 32]).unwrap() };
        for right in ["0123456789abcdef", "fedcba9876543210"] {
            assert_eq!(creation.judge(Some(right)).await.unwrap(), Creator::TokenHolder);
        }
        for wrong in ["", "short", "0123456789abcdeF", "0123456789abcdef\nshort", "Bearer 0123456789abcdef"] {
            assert!(matches!(creation.judge(Some(wrong)).await, Err(Error::MayNotCreate)), "{wrong}");
        }
        assert!(matches!(creation.judge(None).await, Err(Error::MissingToken)));
        std::fs::write(&file, "another-token-of-ours").unwrap();
        assert!(creation.judge(Some("0123456789abcdef")).await.is_err());
        std::fs::remove_file(&file).unwrap();
        assert!(matches!(creation.judge(Some("another-token-of-ours")).await, Err(Error::Internal(_))));
    }
}
