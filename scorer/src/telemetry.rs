//! Logs of all three programs: readable by default, JSON when `LOG_FORMAT=json`, `RUST_LOG` choosing what is logged.

use std::io::IsTerminal;

use tracing_subscriber::filter::Directive;
use tracing_subscriber::layer::{Identity, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

/// The target of lines that say who did what: logged at any level, unless `RUST_LOG` names it.
pub const AUDIT: &str = "audit";

/// Starts logging to standard error. To be called once, first thing in `main`.
pub fn init() {
    init_with("info");
}

/// The same, logging from this level on unless `RUST_LOG` says otherwise.
pub fn init_with(level: &str) {
    init_beside(level, Identity::new());
}

/// The same, with something else that is told of spans and events, too.
pub fn init_beside(level: &str, other: impl Layer<Registry> + Send + Sync) {
    let chosen = std::env::var("RUST_LOG").unwrap_or_default();
    let logs = fmt::layer().with_writer(std::io::stderr);
    let logs = if std::env::var("LOG_FORMAT").is_ok_and(|format| format == "json") {
        logs.json().boxed()
    } else {
        logs.with_ansi(std::io::stderr().is_terminal()).boxed()
    };
    tracing_subscriber::registry().with(other).with(logs.with_filter(filter(&chosen, level))).init();
}

fn filter(chosen: &str, level: &str) -> EnvFilter {
    let chosen = if chosen.trim().is_empty() { level } else { chosen };
    let filter = EnvFilter::try_new(chosen).unwrap_or_else(|_| EnvFilter::new(level));
    match format!("{AUDIT}=info").parse::<Directive>() {
        Ok(audit) if !chosen.contains(AUDIT) => filter.add_directive(audit),
        _ => filter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audit_log_is_on_unless_it_is_named() {
        for (chosen, expected) in
            [("", true), ("warn", true), ("off", true), ("audit=off,info", false), ("=,!", true)]
        {
            let directives = filter(chosen, "warn").to_string();
            assert_eq!(directives.contains("audit=info"), expected, "{chosen}: {directives}");
        }
    }
}
