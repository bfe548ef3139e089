//! A real S3 store: SeaweedFS on loopback ports of its own, in a temporary folder.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use scorer::store::{Store, StoreArgs};

const ACCESS_KEY: &str = "test-access-key";
const SECRET_KEY: &str = "test-secret-key";
/// SeaweedFS serves gRPC on each port plus this.
const GRPC_OFFSET: u16 = 10_000;
const READY: Duration = Duration::from_secs(60);

/// A running store; stopped when dropped.
pub struct Weed {
    process: Child,
    endpoint: String,
    _folder: tempfile::TempDir,
}

impl Weed {
    /// Starts it, and waits until it answers.
    pub async fn start() -> Self {
        Self::start_with(["-master.volumeSizeLimitMB=256", "-volume.max=50"]).await
    }

    /// One that has room for a few megabytes in the bucket `ready`, and for nothing elsewhere.
    pub async fn start_small() -> Self {
        Self::start_with(["-master.volumeSizeLimitMB=1", "-volume.max=1"]).await
    }

    async fn start_with(volumes: [&str; 2]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = folder.path().join("s3.json");
        std::fs::write(&settings, identities()).unwrap();
        let [master, volume, filer, s3] = free_ports();
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let process = Command::new(binary())
            .arg("server")
            .arg(format!("-dir={}", folder.path().display()))
            .args(["-s3", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"])
            .args(volumes)
            .arg("-master.telemetry=false")
            // services on fixed ports, which another store on this machine may have taken
            .args(["-s3.port.iceberg=0", "-s3.port.lance=0"])
            // by default it asks for a hundredth of the disk, however large that is
            .arg("-volume.minFreeSpace=1GiB")
            .arg(format!("-s3.config={}", settings.display()))
            .arg(format!("-master.port={master}"))
            .arg(format!("-volume.port={volume}"))
            .arg(format!("-filer.port={filer}"))
            .arg(format!("-s3.port={s3}"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let weed = Self { process, endpoint: format!("http://127.0.0.1:{s3}"), _folder: folder };
        weed.wait_until_ready().await;
        weed
    }

    /// The bucket `name`, which is made when it is not there.
    pub async fn bucket(&self, name: &str) -> Store {
        let store = self.settings(name, true).open().await.unwrap();
        store.check().await.unwrap();
        store
    }

    pub fn settings(&self, bucket: &str, create: bool) -> StoreArgs {
        StoreArgs {
            store_url: format!("s3://{bucket}/some/prefix"),
            store_endpoint: Some(self.endpoint.clone()),
            store_region: "us-east-1".into(),
            store_create_bucket: create,
            store_credentials_file: None,
        }
    }

    /// The store without our code in between.
    pub async fn client(&self) -> aws_sdk_s3::Client {
        let config = aws_config::defaults(aws_config::BehaviorVersion::latest())
            .region(aws_config::Region::new("us-east-1"))
            .load()
            .await;
        let config = aws_sdk_s3::config::Builder::from(&config).endpoint_url(&self.endpoint);
        aws_sdk_s3::Client::from_conf(config.force_path_style(true).build())
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Stops it at once, as a crash would.
    pub fn kill(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    async fn wait_until_ready(&self) {
        let start = Instant::now();
        let store = self.settings("ready", true).open().await.unwrap();
        loop {
            let Err(error) = ready(&store).await else { return };
            assert!(
                start.elapsed() < READY,
                "SeaweedFS is not ready after {READY:?}: {error}\n{}",
                self.log()
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self._folder.path().join("log")).unwrap_or_default()
    }
}

/// Environment variables for programs that use it.
pub fn credentials() -> [(&'static str, &'static str); 2] {
    [("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)]
}

/// The client finds its credentials in the environment, which a test must not change for the others in its process.
/// So the test runs once more, in a process of its own: there this tells true.
pub fn in_child_with_credentials(test: &str) -> bool {
    if std::env::var("AWS_ACCESS_KEY_ID").is_ok_and(|key| key == ACCESS_KEY) {
        return true;
    }
    let child = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .envs(credentials())
        .status()
        .unwrap();
    assert!(child.success(), "see above");
    false
}

/// The gateway answers before there is a place to put anything.
async fn ready(store: &Store) -> Result<(), scorer::store::StoreError> {
    store.check().await?;
    store.put_small("ready", bytes::Bytes::from_static(b"yes"), "text/plain").await
}

impl Drop for Weed {
    fn drop(&mut self) {
        self.kill();
    }
}

/// `tests/setup/tools weed` makes it; `tests/setup/env.sh` puts it on the PATH.
fn binary() -> PathBuf {
    let on_path = std::env::var_os("PATH")
        .into_iter()
        .flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>())
        .map(|folder| folder.join("weed"));
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/setup/tools");
    let where_it_is = Command::new(&tools).args(["--where", "weed"]).output();
    let made = where_it_is.ok().and_then(|output| {
        let text = String::from_utf8(output.stdout).ok()?;
        Some(PathBuf::from(text.trim().split_once(' ')?.1).join("weed"))
    });
    let found = on_path.chain(made).find(|path| path.is_file());
    found.expect("this test needs SeaweedFS: run tests/setup/tools weed")
}

fn identities() -> String {
    serde_json::json!({"identities": [{
        "name": "test",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }]})
    .to_string()
}

/// Four ports that are free now, and whose gRPC ports are free as well.
fn free_ports() -> [u16; 4] {
    let mut held = Vec::new();
    while held.len() < 4 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let grpc = port.checked_sub(GRPC_OFFSET).filter(|port| *port > 1024);
        // The port that the system gives is high: it serves as the gRPC port.
        if let Some(port) = grpc
            && let Ok(lower) = TcpListener::bind(("127.0.0.1", port))
        {
            held.push((port, listener, lower));
        }
    }
    held.iter().map(|(port, ..)| *port).collect::<Vec<_>>().try_into().unwrap()
}
