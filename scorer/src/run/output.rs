//! Where the result goes, and what is said about it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::args::PlaceArgs;
use super::request::Request;
use scorer::plan::ResultType;
use scorer::solve::Solving;
use scorer::store::Store;
use scorer::summary::RunSummary;

/// The files of the result, by the names of its objects.
pub(super) struct Destination {
    files: Vec<(&'static str, PathBuf)>,
}

impl Destination {
    /// Decides on the files, and refuses at once what would be refused in the end.
    pub fn new(args: &PlaceArgs, run: &str, result_type: ResultType) -> Result<Self> {
        let names = object_names(result_type);
        let output = &args.output;
        let is_file = output.extension().is_some_and(|extension| extension == "json") && !output.is_dir();
        if is_file && names.len() > 1 {
            bail!(
                "permutations are {} files: give a folder as --output, not {}",
                names.len(),
                output.display()
            );
        }
        let path = |name: &str| match is_file {
            true => output.clone(),
            false => output.join(format!("{run}-{name}.json")),
        };
        let files: Vec<_> = names.iter().map(|&name| (name, path(name))).collect();
        if let Some((_, existing)) = files.iter().find(|(_, file)| file.exists())
            && !args.force
        {
            bail!("{} exists already; give another --output, or --force to overwrite it", existing.display());
        }
        let folder = if is_file { output.parent().unwrap_or(Path::new("")) } else { output };
        if !folder.as_os_str().is_empty() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("the folder {} cannot be made", folder.display()))?;
        }
        Ok(Self { files })
    }

    /// Copies the result out of the store; a file is there whole or not at all.
    pub async fn write(self, store: &Store, summary: &RunSummary) -> Result<Vec<PathBuf>> {
        let mut written = Vec::new();
        for (name, file) in self.files {
            let object = summary.results.iter().find(|object| object.name == name);
            let object = object.with_context(|| format!("the run has no result \"{name}\""))?;
            let partial = file.with_extension("json.partial");
            store.download_to(&object.key, &partial).await?;
            std::fs::rename(&partial, &file)
                .with_context(|| format!("{} cannot be written", file.display()))?;
            written.push(file);
        }
        Ok(written)
    }
}

fn object_names(result_type: ResultType) -> &'static [&'static str] {
    match result_type {
        ResultType::Groups => &["groups"],
        ResultType::SimilarityScores => &["similarity_scores"],
        ResultType::Permutations => &["mask", "permutation-0", "permutation-1"],
    }
}

/// Says on standard output what was done.
pub(super) fn print_summary(request: &Request, summary: &RunSummary, files: &[PathBuf], took: Duration) {
    let parties = request.parties.iter().zip(&summary.records);
    let records: Vec<String> =
        parties.map(|(party, records)| format!("{} ({})", thousands(*records), party.name)).collect();
    println!("records      {}", records.join(", "));
    println!("comparisons  {}", thousands(summary.comparisons));
    println!("pairs        {}", thousands(summary.pairs));
    if let Some(groups) = summary.groups {
        let label = if files.len() > 1 { "matches" } else { "groups" };
        println!("{label:12} {}", thousands(groups));
    }
    if let Some(solving) = &summary.solving {
        print_solving(solving);
    }
    println!(
        "time         {:.2} s: scoring {:.2} s, solving {:.2} s",
        took.as_secs_f64(),
        summary.scoring_seconds,
        summary.solving_seconds
    );
    let shown: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    println!("result       {}", shown.join(", "));
}

/// What was solved optimally, and what was too large for that.
fn print_solving(solving: &Solving) {
    let [components, largest] = [solving.components, solving.largest_component_records].map(thousands);
    println!("components   {components}, the largest of {largest} records");
    if solving.greedy_components > 0 {
        let [components, records, pairs] =
            [solving.greedy_components, solving.greedy_records, solving.greedy_pairs].map(thousands);
        println!(
            "greedily     {components} components with {records} records and {pairs} pairs, too large to be solved optimally"
        );
    }
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let mut groups: Vec<&str> = Vec::new();
    if first > 0 {
        groups.push(&digits[..first]);
    }
    groups.extend((first..digits.len()).step_by(3).map(|at| &digits[at..at + 3]));
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::thousands;

    #[test]
    fn numbers_are_readable() {
        for (number, shown) in
            [(0, "0"), (999, "999"), (1000, "1,000"), (25_000_000, "25,000,000"), (123_456, "123,456")]
        {
            assert_eq!(thousands(number), shown);
        }
    }
}
