//! `anonlink`, the command of PyPI's anonlink-client: the program that parties use with the Anonlink Entity Service.
//! Unchanged, it is the judge of whether ours can replace that.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use serde_json::Value;
use tokio::process::Command;

/// A service, as `anonlink` sees it.
pub struct Client {
    server: String,
    /// Where it finds the object store, when that is not where the service says.
    store: Option<String>,
    folder: Arc<Folder>,
}

/// A folder for files of the test, removed with it.
pub struct Folder(std::path::PathBuf);

/// What the command that ended well has said.
pub struct Said {
    /// What it wrote to standard output and standard error.
    pub text: String,
    /// The document that it wrote to its output file; null when there was none.
    pub document: Value,
}

impl Client {
    /// A client of the service at an address such as `http://127.0.0.1:8080`. Its files are in `folder`.
    pub fn new(server: &str, store: Option<&str>, folder: &Arc<Folder>) -> Self {
        Self { server: server.into(), store: store.map(str::to_owned), folder: Arc::clone(folder) }
    }

    /// A command that calls the service, such as `create-project --type groups`.
    pub async fn call(&self, arguments: &[&str]) -> anyhow::Result<Said> {
        let (command, rest) = arguments.split_first().context("no command")?;
        let mut all = vec![*command, "--server", &self.server];
        all.extend(rest);
        self.run(&all).await
    }

    /// The same, with its answer in a file (`--output`), of which the document is made.
    pub async fn ask(&self, arguments: &[&str]) -> anyhow::Result<Said> {
        let output = self.folder.path("output.json");
        let mut all = arguments.to_vec();
        all.extend(["--output", &output]);
        let mut said = self.call(&all).await?;
        let written = std::fs::read(&output)?;
        std::fs::remove_file(&output)?;
        said.document = serde_json::from_slice(&written)
            .with_context(|| format!("anonlink {arguments:?} has no answer: {}", said.text))?;
        Ok(said)
    }

    /// A command that works on files alone, such as `hash`.
    pub async fn run(&self, arguments: &[&str]) -> anyhow::Result<Said> {
        let program = std::env::var("ANONLINK").context("run the tests by tests/e2e/run")?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.folder.0).env("NO_PROXY", "*").kill_on_drop(true);
        if let Some(store) = &self.store {
            command.env("UPLOAD_OBJECT_STORE_SERVER", store);
        }
        let output = command.output().await?;
        let text =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        if !output.status.success() {
            bail!("anonlink {arguments:?}: {text}");
        }
        Ok(Said { text, document: Value::Null })
    }
}

impl Folder {
    /// An empty folder.
    pub fn new(name: &str) -> anyhow::Result<Arc<Self>> {
        let path = std::env::temp_dir().join(format!("linkage-e2e-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Arc::new(Self(path)))
    }

    /// The people of examples/data/thousand before they were encoded, as `hospital-a.csv` and `hospital-b.csv`, and
    /// the secret by which they were.
    pub async fn with_people(name: &str) -> anyhow::Result<Arc<Self>> {
        let folder = Self::new(name)?;
        let python = std::env::var("LINKAGE_PYTHON").context("run the tests by tests/e2e/run")?;
        let program = crate::data::example("data/make_data.py").to_string_lossy().into_owned();
        let path = folder.0.to_string_lossy().into_owned();
        let made = crate::cluster::run(&python, &[&program, "--people", &path], "").await?;
        if !made.succeeded {
            bail!("make_data.py: {}", made.text);
        }
        Ok(folder)
    }

    /// The path of a file in it.
    pub fn path(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }

    /// A file in it.
    pub fn read(&self, name: &str) -> anyhow::Result<String> {
        let path = self.0.join(name);
        std::fs::read_to_string(&path).with_context(|| path.display().to_string())
    }

    /// A file in it, as JSON.
    pub fn read_json(&self, name: &str) -> anyhow::Result<Value> {
        Ok(serde_json::from_str(&self.read(name)?)?)
    }

    /// Writes a file in it.
    pub fn write(&self, name: impl AsRef<Path>, content: &str) -> anyhow::Result<()> {
        Ok(std::fs::write(self.0.join(name), content)?)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _best_effort = std::fs::remove_dir_all(&self.0);
    }
}
