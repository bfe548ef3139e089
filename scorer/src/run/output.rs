//! Where the result goes, and what is said about it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::args::PlaceArgs;
use super::request::Request;
use scorer::plan::{ResultFormat, ResultType};
use scorer::solve::Solving;
use scorer::store::Store;
use scorer::summary::RunSummary;

/// The files of the result.
pub(super) struct Destination {
    /// How the result is to be written.
    pub formats: BTreeSet<ResultFormat>,
    files: Vec<ResultFile>,
}

/// The file for one object.
struct ResultFile {
    name: &'static str,
    format: ResultFormat,
    path: PathBuf,
}

impl Destination {
    /// Decides on the files, and refuses at once what would be refused in the end.
    pub fn new(args: &PlaceArgs, request: &Request) -> Result<Self> {
        let output = &args.output;
        let names = request.result_type.object_names(request.with_similarity_scores);
        let file_format = format_of(output).filter(|_| !output.is_dir());
        let formats = formats(args, request, file_format)?;
        if file_format.is_some() && names.len() > 1 {
            bail!(
                "the result is {} files ({}): give a folder as --output, not {}",
                names.len(),
                names.join(", "),
                output.display()
            );
        }
        let path = |name: &str, format: ResultFormat| match file_format {
            Some(_) => output.clone(),
            None => output.join(format!("{}-{name}.{}", request.name, format.extension())),
        };
        let of_name = |&name: &&'static str| {
            formats.iter().map(move |&format| ResultFile { name, format, path: path(name, format) })
        };
        let files: Vec<ResultFile> = names.iter().flat_map(of_name).collect();
        if let Some(ResultFile { path, .. }) = files.iter().find(|file| file.path.exists())
            && !args.force
        {
            bail!("{} exists already; give another --output, or --force to overwrite it", path.display());
        }
        let folder = if file_format.is_some() { output.parent().unwrap_or(Path::new("")) } else { output };
        if !folder.as_os_str().is_empty() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("the folder {} cannot be made", folder.display()))?;
        }
        Ok(Self { formats, files })
    }

    /// Copies the result out of the store; a file is there whole or not at all.
    pub async fn write(self, store: &Store, summary: &RunSummary) -> Result<Vec<PathBuf>> {
        let mut written = Vec::new();
        for ResultFile { name, format, path } in self.files {
            let mut results = summary.results.iter();
            let object = results.find(|object| object.name == name && object.format == format);
            let object = object.with_context(|| format!("the run has no result \"{name}\""))?;
            let partial = path.with_extension(format!("{}.partial", format.extension()));
            store.download_to(&object.key, &partial).await?;
            std::fs::rename(&partial, &path)
                .with_context(|| format!("{} cannot be written", path.display()))?;
            written.push(path);
        }
        Ok(written)
    }
}

/// How the result is to be written: as the file's name says, else as the command line, else as the run.
fn formats(
    args: &PlaceArgs,
    request: &Request,
    file_format: Option<ResultFormat>,
) -> Result<BTreeSet<ResultFormat>> {
    let asked: BTreeSet<ResultFormat> = args.format.iter().copied().collect();
    match file_format {
        Some(format) if asked.is_empty() || asked == [format].into() => Ok([format].into()),
        Some(_) => bail!(
            "--format and the ending of {} say different things; leave one out, or give a folder as --output",
            args.output.display()
        ),
        None if !asked.is_empty() => Ok(asked),
        None if !request.formats.is_empty() => Ok(request.formats.clone()),
        None => Ok([ResultFormat::Json].into()),
    }
}

/// The format that a file's name asks for.
fn format_of(file: &Path) -> Option<ResultFormat> {
    ResultFormat::of_extension(file.extension()?.to_str()?)
}

/// Says on standard output what was done.
pub(super) fn print_summary(
    request: &Request,
    summary: &RunSummary,
    without_block: &[u64],
    files: &[PathBuf],
    took: Duration,
) {
    println!("records      {}", by_party(request, &summary.records));
    if without_block.iter().any(|&records| records > 0) {
        println!("no block     {}: compared with none", by_party(request, without_block));
    }
    println!("comparisons  {}", thousands(summary.comparisons));
    println!("pairs        {}", thousands(summary.pairs));
    if let Some(groups) = summary.groups {
        let is_matches = request.result_type == ResultType::Permutations;
        let label = if is_matches { "matches" } else { "groups" };
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

/// A number for each party.
fn by_party(request: &Request, numbers: &[u64]) -> String {
    let parties = request.parties.iter().zip(numbers);
    let shown: Vec<String> =
        parties.map(|(party, number)| format!("{} ({})", thousands(*number), party.name)).collect();
    shown.join(", ")
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
