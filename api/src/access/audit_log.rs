//! The audit log: one JSON object a line, each with the hash of the line before, so that a line that was changed, taken out or
//! put in between shows. `api verify-audit FILE` checks a file.
//!
//! Each start of the program begins a chain of its own. What was cut off at the end of a chain cannot be told from the file
//! alone, unless the chain says that it ends.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::sync::{Mutex, OnceLock, PoisonError};

use crds::tokens::MasterKey;
use k8s_openapi::jiff::Timestamp;
use scorer::telemetry::AUDIT;
use serde::{Deserialize, Serialize};

use crate::access::caller;

/// What stands before the hash, which comes last in a line.
const HASH: &str = ",\"hash\":\"";
/// Characters of a hash.
const HASH_LENGTH: usize = 64;
/// Longest line that is read: longer ones are of another program.
const MAX_LINE: usize = 64 << 10;

static LOG: OnceLock<Log> = OnceLock::new();

struct Log {
    key: MasterKey,
    chain: Mutex<Chain>,
}

struct Chain {
    output: Box<dyn Write + Send>,
    id: String,
    next: u64,
    previous: String,
}

/// What a line tells.
#[derive(Debug, Default, Serialize)]
pub struct Told<'t> {
    /// What was done or asked for.
    pub action: &'t str,
    /// `done` or `refused`.
    pub outcome: &'t str,
    /// Who did it: what the token opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// The project, by its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<&'t str>,
    /// The run, by its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<&'t str>,
    /// The status of a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

#[derive(Serialize)]
struct Line<'l> {
    audit: &'l str,
    number: u64,
    time: String,
    #[serde(flatten)]
    told: &'l Told<'l>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// A keyed hash of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    previous: &'l str,
}

#[derive(Deserialize)]
struct Link {
    audit: String,
    number: u64,
    action: String,
    previous: String,
}

/// Begins the log of this program. Later calls change nothing.
pub fn open(key: MasterKey, output: Box<dyn Write + Send>) {
    let id = hex::encode(rand::random::<[u8; 8]>());
    let chain = Chain { output, id, next: 0, previous: String::new() };
    if LOG.set(Log { key, chain: Mutex::new(chain) }).is_ok() {
        write(&Told { action: "Start", outcome: "done", ..Told::default() });
    }
}

/// Ends the log: what is missing at the end of a chain that was ended shows.
pub fn end() {
    write(&Told { action: "End", outcome: "done", ..Told::default() });
}

/// Writes a line about the request that is being answered.
pub fn write(told: &Told<'_>) {
    // as with other lines, RUST_LOG may switch them off
    let Some(log) = LOG.get().filter(|_| tracing::enabled!(target: AUDIT, tracing::Level::INFO)) else {
        return;
    };
    let caller = caller::current();
    let caller = caller.as_deref();
    let token = caller.and_then(|caller| caller.token()).map(|token| log.key.pseudonym("token", token));
    let request = caller
        .and_then(|caller| caller.request_id.as_ref())
        .and_then(|id| Some(id.to_str().ok()?.to_owned()));
    let address = caller.and_then(|caller| caller.address).map(|address| address.to_string());
    let mut chain = log.chain.lock().unwrap_or_else(PoisonError::into_inner);
    let line = Line {
        audit: &chain.id,
        number: chain.next,
        time: Timestamp::now().to_string(),
        told,
        request,
        address,
        token,
        previous: &chain.previous,
    };
    let Ok(text) = serde_json::to_string(&line) else { return };
    let (text, hash) = sealed(&text);
    // once a line is lost, the chain shows it: there is nothing better to do
    let written = chain.output.write_all(text.as_bytes()).and_then(|()| chain.output.flush());
    if let Err(error) = written {
        tracing::error!(%error, "a line of the audit log could not be written");
    }
    (chain.next, chain.previous) = (chain.next + 1, hash);
}

/// A JSON object as a line with its hash, and the hash.
fn sealed(text: &str) -> (String, String) {
    let hash = blake3::hash(text.as_bytes()).to_hex().to_string();
    let open = text.strip_suffix('}').unwrap_or(text);
    (format!("{open}{HASH}{hash}\"}}\n"), hash)
}

/// What was found in a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Lines of the audit log.
    pub lines: u64,
    /// What is wrong.
    pub faults: Vec<String>,
    /// What cannot be told.
    pub notes: Vec<String>,
}

/// Checks the chains in a file; lines of other kinds may stand between.
///
/// # Errors
/// Fails when the file cannot be read.
pub fn verify(mut file: impl BufRead) -> std::io::Result<Verdict> {
    let (mut verdict, mut chains) = (Verdict::default(), BTreeMap::<String, Last>::new());
    let mut bytes = Vec::new();
    let mut row = 0;
    loop {
        bytes.clear();
        if file.read_until(b'\n', &mut bytes)? == 0 {
            break;
        }
        row += 1;
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_LINE)]);
        let Some((link, hash, sound)) = link(&text) else { continue };
        verdict.lines += 1;
        if !sound {
            verdict.faults.push(format!("line {row}: it is not as it was written: its hash is another"));
        }
        match chains.get(&link.audit) {
            None if link.number > 0 => {
                verdict.faults.push(format!("line {row}: the {} lines before it are missing", link.number));
            }
            Some(last) if last.number + 1 != link.number => {
                verdict
                    .faults
                    .push(format!("line {row}: number {} follows number {}", link.number, last.number));
            }
            Some(last) if last.hash != link.previous => {
                verdict
                    .faults
                    .push(format!("line {row}: the line before it is another than when it was written"));
            }
            _ => {}
        }
        chains.insert(link.audit, Last { number: link.number, hash, ended: link.action == "End" });
    }
    for (chain, last) in chains {
        if !last.ended {
            let note = format!(
                "chain {chain} does not say that it ends: lines after number {} may be missing",
                last.number
            );
            verdict.notes.push(note);
        }
    }
    Ok(verdict)
}

struct Last {
    number: u64,
    hash: String,
    ended: bool,
}

/// A line of the log, its hash, and whether that is right; none for lines of other kinds. Programs that collect logs put
/// something before a line.
fn link(text: &str) -> Option<(Link, String, bool)> {
    let text = text.trim_end();
    let text = &text[text.find("{\"audit\":\"")?..];
    let (open, hash) = text.rsplit_once(HASH)?;
    let hash = hash.strip_suffix("\"}").filter(|hash| hash.len() == HASH_LENGTH)?;
    let whole = format!("{open}}}");
    let link = serde_json::from_str(&whole).ok()?;
    Some((link, hash.to_owned(), sealed(&whole).1 == hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(lines: u64) -> Vec<String> {
        let mut previous = String::new();
        let line = |number: u64| {
            let action = if number + 1 == lines { "End" } else { "CreateRun" };
            let told =
                Told { action, outcome: "done", who: Some("\"},\"hash\":\"".into()), ..Told::default() };
            let line = Line {
                audit: "c",
                number,
                time: String::new(),
                told: &told,
                request: None,
                address: Some("1.2.3.4".into()),
                token: None,
                previous: &previous,
            };
            let (text, hash) = sealed(&serde_json::to_string(&line).unwrap());
            previous = hash;
            text
        };
        (0..lines).map(line).collect()
    }

    fn faults(lines: &[String]) -> Vec<String> {
        verify(lines.concat().as_bytes()).unwrap().faults
    }

    #[test]
    fn a_whole_chain_is_sound_whatever_stands_between_its_lines() {
        let mut lines = chain(5);
        assert_eq!(verify(lines.concat().as_bytes()).unwrap(), Verdict { lines: 5, ..Verdict::default() });
        lines.insert(2, "2030-01-01 INFO request: answered\n".into());
        lines.insert(3, "{\"level\":\"INFO\"}\n\u{0}\n".into());
        lines[0].insert_str(0, "2030-01-01T00:00:00Z stderr F ");
        assert_eq!(verify(lines.concat().as_bytes()).unwrap(), Verdict { lines: 5, ..Verdict::default() });
    }

    #[test]
    fn a_line_that_is_cut_out_changed_or_moved_shows() {
        let whole = chain(6);
        for cut in 0..5 {
            let mut lines = whole.clone();
            lines.remove(cut);
            assert_eq!(faults(&lines).len(), 1, "{cut}");
        }
        let mut changed = whole.clone();
        changed[2] = changed[2].replace("1.2.3.4", "4.3.2.1");
        assert!(faults(&changed)[0].starts_with("line 3: it is not as it was written"));
        // also with a hash that fits
        let open = changed[2].rsplit_once(HASH).unwrap().0.to_owned();
        changed[2] = sealed(&format!("{open}}}")).0;
        assert!(faults(&changed)[0].starts_with("line 4: the line before it is another"));
        let mut moved = whole.clone();
        moved.swap(2, 3);
        assert!(!faults(&moved).is_empty());
        let mut doubled = whole.clone();
        doubled.insert(3, whole[2].clone());
        assert!(!faults(&doubled).is_empty());
    }

    #[test]
    fn that_the_end_may_be_missing_is_said() {
        let lines = &chain(6)[..5];
        let verdict = verify(lines.concat().as_bytes()).unwrap();
        assert_eq!((verdict.faults.len(), verdict.notes.len()), (0, 1));
        assert!(verdict.notes[0].contains("after number 4"));
    }
}
