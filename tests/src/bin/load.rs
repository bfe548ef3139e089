//! Load for the REST service, and what it costs the service: `tests/bench-api/run` calls it.
//!
//! ```text
//! load upload ADDRESS PID json|binary MEGABYTES UPLOADS     ADDRESS/PATH and token of each upload on standard input
//! load get    ADDRESS PID SECONDS CONNECTIONS                paths and tokens on standard input, asked for in turn
//! ```
//!
//! Prints one line of JSON: bytes, requests and seconds; the processor seconds of the service, of all of it and of the
//! threads that serve; and its peak memory (`VmHWM`, counted from the start of the load).

use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes of an encoding.
const ENCODING_BYTES: usize = 128;
/// Records in the piece of a document that is sent over and over.
const PIECE_RECORDS: usize = 6_000;

/// A path, and the token that opens it.
#[derive(Clone, Debug)]
struct Target {
    path: String,
    token: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["upload", address, pid, form, megabytes, uploads] => {
            let (targets, uploads): (_, usize) = (targets()?, uploads.parse()?);
            if targets.len() < uploads {
                bail!("there are {} targets for {uploads} uploads", targets.len());
            }
            let body = Arc::new(Body::new(form == "json", megabytes.parse::<usize>()? * 1_000_000));
            let address: SocketAddr = address.parse()?;
            measure(pid, async move {
                let mut tasks = tokio::task::JoinSet::new();
                for target in targets.into_iter().take(uploads) {
                    tasks.spawn(upload(address, target, body.clone()));
                }
                let mut sent = 0;
                while let Some(done) = tasks.join_next().await {
                    sent += done??;
                }
                Ok((sent, uploads as u64))
            })
            .await
        }
        ["get", address, pid, seconds, connections] => {
            let end = Instant::now() + Duration::from_secs_f64(seconds.parse()?);
            let (address, connections): (SocketAddr, usize) = (address.parse()?, connections.parse()?);
            measure(pid, async move {
                let received = Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
                let targets = Arc::new(targets()?);
                let mut tasks = tokio::task::JoinSet::new();
                for first in 0..connections {
                    tasks.spawn(get(address, targets.clone(), first, end, received.clone()));
                }
                while let Some(done) = tasks.join_next().await {
                    done??;
                }
                Ok((received.0.load(Ordering::Relaxed), received.1.load(Ordering::Relaxed)))
            })
            .await
        }
        _ => bail!("the head of {} tells what can be asked for", file!()),
    }
}

/// Lines of a path and a token.
fn targets() -> anyhow::Result<Vec<Target>> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let line = |line: &str| {
        let (path, token) = line.split_once(' ').with_context(|| format!("no path and token: {line}"))?;
        Ok(Target { path: path.into(), token: token.into() })
    };
    text.lines().map(line).collect()
}

async fn measure(pid: &str, load: impl Future<Output = anyhow::Result<(u64, u64)>>) -> anyhow::Result<()> {
    // from now on the peak counts anew
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5")?;
    let (before, start) = (ProcessorSeconds::of(pid)?, Instant::now());
    let (bytes, requests) = load.await?;
    let seconds = start.elapsed().as_secs_f64();
    let after = ProcessorSeconds::of(pid)?;
    let measured = json!({
        "bytes": bytes, "requests": requests, "seconds": seconds,
        "processor_seconds": after.all - before.all, "serving_seconds": after.serving - before.serving,
        "peak_bytes": peak_bytes(pid)?,
    });
    println!("{measured}");
    Ok(())
}

/// User and system time of the service so far.
struct ProcessorSeconds {
    /// Of all its threads, those that have ended included.
    all: f64,
    /// Of its main thread and the workers that Tokio starts next, one for each core. Those that come later do what
    /// would hold up a worker: they write to files.
    serving: f64,
}

impl ProcessorSeconds {
    fn of(pid: &str) -> anyhow::Result<Self> {
        let process = Path::new("/proc").join(pid);
        let mut threads = Vec::new();
        for thread in std::fs::read_dir(process.join("task"))? {
            let thread = thread?;
            threads.push((thread.file_name().to_string_lossy().parse::<u32>()?, thread.path()));
        }
        threads.sort_unstable();
        let serving = 1 + std::thread::available_parallelism()?.get();
        let seconds = threads.iter().take(serving).map(|(_, thread)| processor_seconds(thread));
        Ok(Self { all: processor_seconds(&process)?, serving: seconds.sum::<anyhow::Result<f64>>()? })
    }
}

/// User and system time of a process or a thread, by its folder in `/proc`.
fn processor_seconds(folder: &Path) -> anyhow::Result<f64> {
    /// Of `/proc`, on every architecture of today.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string(folder.join("stat"))?;
    // the second field is a name in parentheses, which may hold anything
    let fields = stat.rsplit_once(')').context("no process name")?.1;
    let field = |index: usize| fields.split_whitespace().nth(index).unwrap_or_default().parse::<f64>();
    Ok((field(11)? + field(12)?) / TICKS_PER_SECOND)
}

fn peak_bytes(pid: &str) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    Ok(peak.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

/// A document, of which the greater part is one piece over and over.
struct Body {
    headers: String,
    head: Vec<u8>,
    piece: Vec<u8>,
    pieces: usize,
    tail: &'static [u8],
}

impl Body {
    /// Of at least so many bytes.
    fn new(json: bool, bytes: usize) -> Self {
        let encoding = |n: usize| (0..ENCODING_BYTES).map(move |byte| (n * 31 + byte * 7) as u8);
        if !json {
            let piece: Vec<u8> = (0..PIECE_RECORDS).flat_map(encoding).collect();
            let pieces = bytes.div_ceil(piece.len());
            let headers = format!(
                "content-type: application/octet-stream\r\nhash-count: {}\r\nhash-size: {ENCODING_BYTES}\r\n",
                pieces * PIECE_RECORDS
            );
            return Self { headers, head: Vec::new(), piece, pieces, tail: b"" };
        }
        let text = |n: usize| format!(", \"{}\"", base64(&encoding(n).collect::<Vec<_>>()));
        let piece: String = (0..PIECE_RECORDS).map(text).collect();
        let head = format!("{{\"clks\": [\"{}\"", base64(&encoding(1).collect::<Vec<_>>()));
        let pieces = bytes.div_ceil(piece.len());
        let headers = "content-type: application/json\r\n".into();
        Self { headers, head: head.into(), piece: piece.into(), pieces, tail: b"]}" }
    }

    fn length(&self) -> usize {
        self.head.len() + self.piece.len() * self.pieces + self.tail.len()
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().chain(&[0; 2]).take(3).fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
        for digit in 0..4 {
            let is_there = digit <= three.len();
            text.push(if is_there { DIGITS[(bits >> (18 - 6 * digit) & 63) as usize].into() } else { '=' });
        }
    }
    text
}

async fn upload(address: SocketAddr, target: Target, body: Arc<Body>) -> anyhow::Result<u64> {
    let mut stream = TcpStream::connect(address).await?;
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: load\r\nauthorization: {}\r\ncontent-length: {}\r\nconnection: close\r\n{}\r\n",
        target.path,
        target.token,
        body.length(),
        body.headers
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(&body.head).await?;
    for _ in 0..body.pieces {
        stream.write_all(&body.piece).await?;
    }
    stream.write_all(body.tail).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    if !answer.starts_with("HTTP/1.1 201") {
        bail!("an upload was answered: {answer}");
    }
    Ok(body.length() as u64)
}

async fn get(
    address: SocketAddr,
    targets: Arc<Vec<Target>>,
    first: usize,
    end: Instant,
    received: Arc<(AtomicU64, AtomicU64)>,
) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 1 << 20];
    for n in (first * 7919).. {
        if Instant::now() > end {
            break;
        }
        let Target { path, token } = &targets[n % targets.len()];
        let head = format!("GET {path} HTTP/1.1\r\nhost: load\r\nauthorization: {token}\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
        let bytes = read_answer(&mut stream, &mut buffer).await?;
        received.0.fetch_add(bytes, Ordering::Relaxed);
        received.1.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Reads an answer of a known length, and forgets it; gives its bytes.
async fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> anyhow::Result<u64> {
    let mut got = 0;
    let end = loop {
        let read = stream.read(&mut buffer[got..]).await?;
        if read == 0 {
            bail!("the connection was closed");
        }
        got += read;
        if let Some(end) = buffer[..got].windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = std::str::from_utf8(&buffer[..end])?.to_ascii_lowercase();
    if !head.starts_with("http/1.1 200") {
        bail!("answered: {head}");
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).context("no length")?;
    let length: u64 = length.parse()?;
    let mut left = (end as u64 + length).saturating_sub(got as u64);
    while left > 0 {
        let read = stream.read(buffer).await?;
        if read == 0 {
            bail!("the answer broke off");
        }
        left -= read as u64;
    }
    Ok(length)
}
