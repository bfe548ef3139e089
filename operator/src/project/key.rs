//! Whether a project's key for the mask may be used: what the rules in the resource definition cannot tell.

use crds::LinkageProjectSpec;
use scorer::paillier::PublicKey;

/// Why `spec.paillierPublicKey` cannot be used; none if it can, or there is none.
pub fn refusal(spec: &LinkageProjectSpec) -> Option<String> {
    let key = spec.paillier_public_key.as_ref()?;
    let error = PublicKey::new(&key.kty, &key.alg, &key.modulus).err()?;
    Some(format!("spec.paillierPublicKey cannot be used: {error}; create a new project with another key"))
}
