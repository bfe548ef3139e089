//! Writes the contract as a document: `openapi FILE`.

fn main() -> std::io::Result<()> {
    let Some(file) = std::env::args().nth(1) else {
        eprintln!("usage: openapi FILE\nWrites the OpenAPI document of the REST service.");
        std::process::exit(2);
    };
    std::fs::write(file, api::router::document())
}
