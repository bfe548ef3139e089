//! What all of the service takes at most: the sum of its bounds, which has to fit the pod. A test does the sum for the chart's
//! values.

use scorer::ingest::SharedMemory;
use scorer::store::FIRST_PART_BYTES;

use crate::Limits;
use crate::server::serve::MAX_BUFFER_BYTES;

const MIB: usize = 1 << 20;

/// Records of all uploads that wait for others, as they came out of order.
pub static WAITING_RECORDS: SharedMemory = SharedMemory::new(WAITING_BYTES);
/// Bytes of them.
pub const WAITING_BYTES: usize = 64 * MIB;
/// Bodies that are read whole.
pub const DOCUMENTS_BYTES: usize = 64 * MIB;
/// Parts of uploads that are on their way to the store.
pub const PARTS_AT_ONCE: usize = 32;
/// The program with nothing to do, its threads and its table of tokens.
const PROGRAM_BYTES: usize = 40 * MIB;
/// One project or run in the copy that a watch keeps, with a full status.
const RESOURCE_BYTES: usize = 8 << 10;
/// A connection, beside its buffers: its task, TLS, a small document.
const CONNECTION_BYTES: usize = 24 << 10;
/// An upload, beside the parts that it fills: what is unpacked and parsed, and what the HTTP client holds of a part.
const UPLOAD_BYTES: usize = MIB / 2;

/// The most memory that the service takes with these limits, and with so many connections.
pub fn most(limits: &Limits, connections: usize) -> usize {
    let resources = usize::try_from(limits.quotas.projects + limits.quotas.runs).unwrap_or(usize::MAX);
    PROGRAM_BYTES
        + resources.saturating_mul(RESOURCE_BYTES)
        + connections * (MAX_BUFFER_BYTES + CONNECTION_BYTES)
        // an upload with blocks takes two places, as it fills two parts
        + limits.uploads.all * (FIRST_PART_BYTES + UPLOAD_BYTES)
        + PARTS_AT_ONCE * FIRST_PART_BYTES
        + WAITING_BYTES
        + DOCUMENTS_BYTES
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_yaml::Value;

    use crate::settings::Settings;

    const VALUES: &str = include_str!("../../../charts/linkage-operator/values.yaml");

    #[test]
    fn the_product_of_all_bounds_of_the_chart_fits_its_pod() {
        let values: Value = serde_yaml::from_str(VALUES).unwrap();
        let api = &values["api"];
        let limit = api["resources"]["limits"]["memory"].as_str().unwrap();
        let limit: usize = limit.strip_suffix("Gi").unwrap().parse::<usize>().unwrap() << 30;
        let number = |section: &str, name: &str| api[section][name].as_u64().unwrap().to_string();
        let flags = [
            ("--max-uploads", number("limits", "uploads")),
            ("--max-connections", number("limits", "connections")),
            ("--max-projects", number("quotas", "projects")),
            ("--max-runs", number("quotas", "runs")),
        ];
        let flags = flags.iter().flat_map(|(flag, value)| [(*flag).to_owned(), value.clone()]);
        let settings = Settings::parse_from(
            ["api", "--namespace", "n", "--store-url", "s3://b"].map(String::from).into_iter().chain(flags),
        );
        let most = super::most(&settings.limits(), settings.max_connections as usize);
        assert!(most <= limit, "{} MiB do not fit {} MiB", most >> 20, limit >> 20);
        // and the defaults of the program are those of the chart
        let defaults = Settings::parse_from(["api", "--namespace", "n", "--store-url", "s3://b"]);
        assert_eq!(super::most(&defaults.limits(), defaults.max_connections as usize), most);
    }
}
