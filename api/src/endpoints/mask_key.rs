//! The key under which a project's mask is encrypted, by the names that the Anonlink Entity Service had for it.

use crds::PaillierPublicKey;
use scorer::paillier::PublicKey;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::content::text;
use crate::error::Error;

/// Most characters of a key's name, and most uses of it, as the resource allows them.
const MAX_KID: usize = 1024;
const MAX_KEY_OPS: usize = 8;

/// A Paillier public key of 2048 to 8192 bits, as PyPI's `phe` writes it (`pheutil extract`).
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, ToSchema)]
pub struct PaillierKey {
    /// `DAJ`.
    #[schema(pattern = "^DAJ$")]
    kty: String,
    /// `PAI-GN1`.
    #[schema(pattern = "^PAI-GN1$")]
    alg: String,
    /// The modulus, in base64url.
    #[schema(min_length = 342, max_length = 1400, pattern = "^[A-Za-z0-9_-]+=*$")]
    n: String,
    /// `encrypt`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 8)]
    key_ops: Vec<String>,
    /// What the key is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1024, nullable = false)]
    kid: Option<String>,
}

/// How numbers are encoded before they are encrypted. All exponents are 0, so whatever base one decodes with is right.
#[derive(Clone, Debug, PartialEq, Deserialize, ToSchema)]
pub struct PaillierContext {
    /// 2.
    #[serde(deserialize_with = "text::whole_number")]
    #[schema(value_type = u8, minimum = 2, maximum = 2)]
    base: Option<i64>,
    /// True.
    #[schema(example = true)]
    encoded: bool,
}

impl From<PaillierPublicKey> for PaillierKey {
    fn from(PaillierPublicKey { kty, alg, modulus, key_ops, kid }: PaillierPublicKey) -> Self {
        Self { kty, alg, n: modulus, key_ops, kid }
    }
}

/// The key as the resource holds it, if there is one.
///
/// # Errors
/// When it cannot be used, or there is no mask that it could encrypt.
pub fn resource(
    key: Option<PaillierKey>,
    context: Option<PaillierContext>,
    permutes: bool,
) -> Result<Option<PaillierPublicKey>, Error> {
    let refuse = |why: &str| Err(Error::Invalid(why.to_owned()));
    if context.as_ref().is_some_and(|context| *context != PaillierContext { base: Some(2), encoded: true }) {
        return refuse("paillier_context can only be {\"base\": 2, \"encoded\": true}; leave it out");
    }
    let Some(PaillierKey { kty, alg, n, key_ops, kid }) = key else {
        if context.is_some() {
            return refuse("paillier_context is given, but no public_key");
        }
        return Ok(None);
    };
    if !permutes {
        return refuse("public_key encrypts the mask of result_type permutations; leave it out");
    }
    PublicKey::new(&kty, &alg, &n).map_err(|error| Error::Invalid(format!("public_key: {error}")))?;
    if kid.as_ref().is_some_and(|kid| kid.chars().count() > MAX_KID) || key_ops.len() > MAX_KEY_OPS {
        return refuse("public_key: kid or key_ops is too long");
    }
    Ok(Some(PaillierPublicKey { kty, alg, modulus: n, key_ops, kid }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn key(bytes: usize) -> Value {
        let n = base64_simd::URL_SAFE_NO_PAD.encode_to_string(vec![0xff; bytes]);
        json!({"kty": "DAJ", "alg": "PAI-GN1", "key_ops": ["encrypt"], "n": n, "kid": "made today"})
    }

    fn resource_of(key: Value, context: Value, permutes: bool) -> Result<Option<PaillierPublicKey>, String> {
        let key = serde_json::from_value(key).map_err(|error| error.to_string())?;
        let context = serde_json::from_value(context).map_err(|error| error.to_string())?;
        resource(key, context, permutes).map_err(|error| error.to_string())
    }

    #[test]
    fn a_key_is_kept_as_it_came() {
        for context in [json!(null), json!({"base": 2, "encoded": true})] {
            let kept = resource_of(key(256), context, true).unwrap().unwrap();
            assert_eq!(serde_json::to_value(PaillierKey::from(kept)).unwrap(), key(256));
        }
        assert_eq!(resource_of(json!(null), json!(null), false).unwrap(), None);
    }

    #[test]
    fn what_cannot_be_used_is_refused() {
        let context = || json!({"base": 2, "encoded": true});
        let mut private = key(256);
        private["alg"] = json!(null);
        for (key, context, permutes, why) in [
            (key(128), json!(null), true, "1024 bits; it must have at least 2048"),
            (key(1025), json!(null), true, "at most 8192"),
            (key(256), json!(null), false, "result_type permutations"),
            (private, json!(null), true, "null"),
            (json!({"kty": "RSA", "alg": "PAI-GN1", "n": "AQAB"}), json!(null), true, "kty"),
            (json!({"kty": "DAJ", "alg": "PAI-GN1", "n": "?"}), json!(null), true, "base64url"),
            (json!(null), context(), true, "no public_key"),
            (key(256), json!({"base": 16, "encoded": true}), true, "base"),
            (key(256), json!({"base": 2, "encoded": false}), true, "encoded"),
        ] {
            let error = resource_of(key, context, permutes).unwrap_err();
            assert!(error.contains(why), "{why}: {error}");
        }
    }
}
