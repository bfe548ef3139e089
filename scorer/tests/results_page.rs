//! The page on results (`examples/results`): each of its commands prints what the page says.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::env::{join_paths, split_paths, var_os};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A command of the page, which may be of several lines, and what it is said to print.
#[derive(Debug, Default, PartialEq)]
struct Example {
    command: String,
    expected: Vec<String>,
}

/// The commands of all blocks marked as `console`: `$ ` begins one, `> ` goes on with it.
fn examples(page: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let mut in_console = false;
    for line in page.lines() {
        if let Some(language) = line.strip_prefix("```") {
            in_console = language == "console";
        } else if in_console {
            if let Some(command) = line.strip_prefix("$ ") {
                examples.push(Example { command: command.to_owned(), expected: Vec::new() });
                continue;
            }
            let example = examples.last_mut().expect("a block begins with a command");
            match line.strip_prefix("> ") {
                Some(more) if example.expected.is_empty() => example.command += &format!("\n{more}"),
                _ => example.expected.push(line.to_owned()),
            }
        }
    }
    examples
}

/// Whether a line is as expected: `...` at the end stands for anything.
fn matches(line: &str, expected: &str) -> bool {
    match expected.strip_suffix("...") {
        Some(start) => line.starts_with(start),
        None => line == expected,
    }
}

/// A copy of the page's folder and of what it names beside it, as commands write into it.
fn copy(folder: &Path) -> (tempfile::TempDir, PathBuf) {
    let top = tempfile::tempdir().unwrap();
    let here = top.path().join("results");
    std::fs::create_dir(&here).unwrap();
    for file in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        std::fs::copy(file.path(), here.join(file.file_name())).unwrap();
    }
    std::fs::copy(folder.join("../evaluate.py"), top.path().join("evaluate.py")).unwrap();
    (top, here)
}

/// Where the programs are that the page calls: `scorer`, and `python3` as the other tests have it.
fn path() -> std::ffi::OsString {
    let mut folders = vec![Path::new(env!("CARGO_BIN_EXE_scorer")).parent().unwrap().to_owned()];
    folders.extend(var_os("LINKAGE_PYTHON").map(|python| Path::new(&python).parent().unwrap().to_owned()));
    folders.extend(split_paths(&var_os("PATH").unwrap()));
    join_paths(folders).unwrap()
}

#[test]
fn the_page_says_what_its_commands_print() {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/results"));
    let page = std::fs::read_to_string(folder.join("README.md")).unwrap();
    let examples = examples(&page);
    assert!(examples.len() >= 10, "only {} commands were found", examples.len());

    let ((_top, here), path) = (copy(&folder), path());
    for Example { command, expected } in examples {
        let mut shell = Command::new("bash");
        shell.args(["-o", "pipefail", "-c", &command]).current_dir(&here).env("PATH", &path);
        let output = shell.env_remove("MEMORY_LIMIT").output().unwrap();
        let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap().replace('\r', "");
        let lines: Vec<&str> = printed.lines().collect();
        let is_as_said = lines.len() == expected.len()
            && lines.iter().zip(&expected).all(|(line, said)| matches(line, said));
        assert!(
            is_as_said && output.status.success(),
            "{command}\nis said to print\n{}\nbut prints\n{printed}",
            expected.join("\n")
        );
    }
}

#[test]
fn commands_are_found() {
    let page = "text\n```console\n$ a\n1\n$ b \\\n> c\n2...\n```\n```sh\n$ not this\n```\n";
    let example = |command: &str, expected: &[&str]| Example {
        command: command.to_owned(),
        expected: expected.iter().map(|&line| line.to_owned()).collect(),
    };
    assert_eq!(examples(page), [example("a", &["1"]), example("b \\\nc", &["2..."])]);
    assert!(matches("2 and more", "2...") && !matches("1", "2...") && !matches("22", "2"));
}
