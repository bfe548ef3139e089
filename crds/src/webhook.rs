//! Webhooks: where a project's news are sent, which addresses the administrator allows, and how the news are signed.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use url::{Host, Url};

/// What a webhook secret begins with, as <https://www.standardwebhooks.com> has it.
pub const SECRET_PREFIX: &str = "whsec_";

/// Where the news of a project are sent.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(cel)]
pub struct Webhook {
    /// The address that gets a POST when a party has contributed, and when a run has ended. It must be one that the
    /// administrator allows.
    #[schemars(length(min = 1, max = 2048))]
    #[x_kube(validation = Rule::new("self.startsWith('https://') || self.startsWith('http://')")
        .message("webhook.url must begin with https:// or http://"))]
    pub url: String,
}

/// Which news have been sent. Written by the operator alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookStatus {
    /// Ids of the events that the receiver has taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub delivered: Vec<String>,

    /// Ids of the events that the receiver has not taken for a day: they are not sent any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given_up: Vec<String>,

    /// When the receiver has last taken an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_delivery_time: Option<Time>,

    /// Why the last attempt has failed; absent after one that has not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl WebhookStatus {
    /// Whether an event needs no more sending.
    pub fn is_settled(&self, id: &str) -> bool {
        self.delivered.iter().chain(&self.given_up).any(|known| known == id)
    }
}

/// The addresses that the administrator allows, by what they begin with.
#[derive(Clone, Debug, Default)]
pub struct AllowedUrls(Vec<Url>);

/// Why an address cannot be used. None of the texts repeats its path or query, which may be secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UrlRefusal {
    /// It is no URL.
    #[error("it is not a URL that begins with https:// or http:// and names a host")]
    Malformed,
    /// It has a user name or a password.
    #[error("it must not have a user name or a password in it")]
    Credentials,
    /// It has a fragment.
    #[error("it must not have a fragment (#…)")]
    Fragment,
    /// It is not below an allowed address.
    #[error("the administrator does not allow this address (the chart's webhooks.allowedUrls)")]
    NotAllowed,
}

impl AllowedUrls {
    /// Takes the administrator's list. Each entry allows itself, and what is below it.
    ///
    /// # Errors
    /// The first entry that cannot be one, and why.
    pub fn new<'e>(entries: impl IntoIterator<Item = &'e str>) -> Result<Self, String> {
        let entries = entries.into_iter().map(str::trim).filter(|entry| !entry.is_empty());
        let parsed = entries.map(|entry| {
            let url = parse(entry).map_err(|why| format!("{entry}: {why}"))?;
            if url.query().is_some() {
                Err(format!("{entry}: it must not have a query (?…)"))
            } else {
                Ok(url)
            }
        });
        Ok(Self(parsed.collect::<Result<_, _>>()?))
    }

    /// Whether nothing is allowed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The address as a URL, if it is allowed.
    ///
    /// # Errors
    /// Why it is not.
    pub fn check(&self, url: &str) -> Result<Url, UrlRefusal> {
        let url = parse(url)?;
        if self.0.iter().any(|allowed| is_below(&url, allowed)) {
            Ok(url)
        } else {
            Err(UrlRefusal::NotAllowed)
        }
    }
}

fn parse(text: &str) -> Result<Url, UrlRefusal> {
    // the parser would take white space out of the text, and backslashes for slashes
    if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err(UrlRefusal::Malformed);
    }
    let url = Url::parse(text).map_err(|_| UrlRefusal::Malformed)?;
    match url.host() {
        Some(Host::Domain("") | Host::Domain(".")) | None => return Err(UrlRefusal::Malformed),
        Some(_) => {}
    }
    if !matches!(url.scheme(), "http" | "https") {
        return Err(UrlRefusal::Malformed);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UrlRefusal::Credentials);
    }
    if url.fragment().is_some() {
        return Err(UrlRefusal::Fragment);
    }
    Ok(url)
}

/// Whether a URL has the origin of another and lies below its path, by whole segments.
fn is_below(url: &Url, allowed: &Url) -> bool {
    let prefix = allowed.path().trim_end_matches('/');
    let rest = url.path().strip_prefix(prefix);
    // an encoded slash or dot may be taken for another path by the receiver
    let encoded = url.path().to_ascii_lowercase();
    let is_plain = !encoded.contains("%2f") && !encoded.contains("%5c") && !encoded.contains("%2e");
    url.origin() == allowed.origin()
        && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        && (is_plain || prefix.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed() -> AllowedUrls {
        AllowedUrls::new(["https://hooks.example.org/linkage/", " http://10.0.0.1:8080 ", ""]).unwrap()
    }

    #[test]
    fn an_address_is_allowed_by_its_origin_and_by_whole_segments_of_its_path() {
        for url in [
            "https://hooks.example.org/linkage",
            "https://hooks.example.org/linkage/",
            "https://HOOKS.example.org:443/linkage/a/b?key=1",
            "http://10.0.0.1:8080/anything%2Fat/all",
            "http://10.0.0.1:8080",
        ] {
            assert!(allowed().check(url).is_ok(), "{url}");
        }
        for url in [
            "https://hooks.example.org/linkages",
            "https://hooks.example.org/",
            "https://hooks.example.org/linkage/../admin",
            "https://hooks.example.org/linkage/%2e%2e/admin",
            "https://hooks.example.org/linkage/..%2fadmin",
            "https://hooks.example.org:8443/linkage/",
            "http://hooks.example.org/linkage/",
            "https://hooks.example.org.evil.example/linkage/",
            "https://evil.example/?https://hooks.example.org/linkage/",
            "http://10.0.0.1/",
        ] {
            assert_eq!(allowed().check(url), Err(UrlRefusal::NotAllowed), "{url}");
        }
    }

    #[test]
    fn an_address_with_credentials_a_fragment_or_another_scheme_is_refused() {
        let of = |url: &str| allowed().check(url).unwrap_err();
        assert_eq!(of("https://user:word@hooks.example.org/linkage/"), UrlRefusal::Credentials);
        assert_eq!(of("https://hooks.example.org@evil.example/linkage/"), UrlRefusal::Credentials);
        assert_eq!(of("https://hooks.example.org/linkage/#a"), UrlRefusal::Fragment);
        for url in [
            "",
            "hooks.example.org/linkage/",
            "ftp://hooks.example.org/linkage/",
            "file:///etc/passwd",
            "https://",
            "https://hooks.example.org\\@evil.example/linkage/",
            "https://hooks.example.org/link\tage/",
            " https://hooks.example.org/linkage/",
        ] {
            assert_eq!(of(url), UrlRefusal::Malformed, "{url}");
        }
    }

    #[test]
    fn nothing_is_allowed_unless_it_is_listed_and_a_wrong_entry_is_named() {
        let nothing = AllowedUrls::new([]).unwrap();
        assert!(nothing.is_empty());
        assert_eq!(nothing.check("https://a.example/"), Err(UrlRefusal::NotAllowed));
        for entry in ["example.org", "https://u:p@a.example/", "https://a.example/?q", "*"] {
            assert!(AllowedUrls::new([entry]).unwrap_err().starts_with(entry));
        }
    }
}
