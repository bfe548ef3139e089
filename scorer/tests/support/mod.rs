//! What several tests need: a real S3 store, and the scorer as a program.

#![allow(dead_code, reason = "each test uses a part")]

pub mod fake_s3;
pub mod program;
pub mod weed;

use std::path::{Path, PathBuf};

/// The data that is shipped as an example.
pub fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/data").join(path)
}
