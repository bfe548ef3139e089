//! Writes the contract as a document, and the table of problems beside it: `openapi FILE`.

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let Some(file) = std::env::args().nth(1).map(PathBuf::from) else {
        eprintln!(
            "usage: openapi FILE\nWrites the OpenAPI document of the REST service, and problems.md beside it."
        );
        std::process::exit(2);
    };
    std::fs::write(&file, api::router::document())?;
    std::fs::write(file.with_file_name("problems.md"), api::problem::markdown())
}
