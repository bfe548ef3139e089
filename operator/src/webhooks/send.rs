//! Sends one event: a signed POST, as <https://www.standardwebhooks.com> has it, that goes nowhere else than it should.

use std::time::Duration;

use base64_simd::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use k8s_openapi::jiff::Timestamp;
use reqwest::redirect::Policy;
use serde_json::json;
use sha2::Sha256;
use url::Url;

use super::addresses::{self, Resolver};
use super::due::Event;

/// A receiver that has not answered by then has not taken the event.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Sends events.
pub struct Sender {
    http: reqwest::Client,
    private_addresses: bool,
}

impl Sender {
    /// Follows no redirects and uses no proxy, which would lead to other addresses than those that are checked.
    ///
    /// # Errors
    /// Fails when an HTTP client cannot be made.
    pub fn new(private_addresses: bool) -> reqwest::Result<Self> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .referer(false)
            .timeout(TIMEOUT)
            .pool_max_idle_per_host(0)
            .user_agent("linkage-operator")
            .dns_resolver(Resolver { private_addresses })
            .build()?;
        Ok(Self { http, private_addresses })
    }

    /// Sends an event, signed by the project's key. Only the status of the answer is read.
    ///
    /// # Errors
    /// Why the receiver has not taken it, in words that repeat nothing of the address but the host.
    pub async fn send(&self, url: Url, key: &[u8], event: &Event) -> Result<(), String> {
        let host = addresses::shown(&url);
        if !self.private_addresses && addresses::is_private_literal(&url) {
            return Err(addresses::refusal(&host));
        }
        let time = Timestamp::now().as_second();
        let body = body(event);
        let request = self
            .http
            .post(url)
            .header("content-type", "application/json")
            .header("webhook-id", &event.id)
            .header("webhook-timestamp", time)
            .header("webhook-signature", signature(key, &event.id, time, &body));
        match request.body(body).send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(format!("{host} answers {}", answer.status().as_u16())),
            Err(error) => Err(in_words(&host, &error)),
        }
    }
}

/// The body: the same bytes whenever the event is sent.
fn body(event: &Event) -> String {
    let mut body = json!(event.news);
    body["timestamp"] = json!(event.time.to_string());
    body.to_string()
}

/// HMAC-SHA256 of id, time and body: `v1,` and base64.
fn signature(key: &[u8], id: &str, time: i64, body: &str) -> String {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(format!("{id}.{time}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode_to_string(mac.finalize().into_bytes()))
}

/// Why nothing was answered. The library's own text has the address in it, which may hold a secret.
fn in_words(host: &str, error: &reqwest::Error) -> String {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if error.is::<addresses::NoPublicAddress>() {
            return addresses::refusal(host);
        }
        source = error.source();
    }
    if error.is_timeout() {
        format!("{host} does not answer within {} s", TIMEOUT.as_secs())
    } else if error.is_connect() {
        format!("{host} cannot be reached, or its certificate is not valid")
    } else {
        format!("{host} breaks the connection off")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the reference implementation.
    #[test]
    fn a_signature_is_as_standard_webhooks_has_it() {
        let key = STANDARD.decode_to_vec("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}");
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
