//! Logs of all three programs: readable by default, JSON when `LOG_FORMAT=json`, `RUST_LOG` choosing what is logged.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging to standard error. To be called once, first thing in `main`.
pub fn init() {
    init_with("info");
}

/// The same, logging from this level on unless `RUST_LOG` says otherwise.
pub fn init_with(level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::env::var("LOG_FORMAT").is_ok_and(|format| format == "json") {
        logs.json().init();
    } else {
        logs.with_ansi(std::io::stderr().is_terminal()).init();
    }
}
