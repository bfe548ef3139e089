//! A real browser, headless, as somebody sits before it who has a keyboard and no mouse.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use futures::FutureExt;
use serde_json::{Value, json};
use thirtyfour::{ChromiumLikeCapabilities, DesiredCapabilities, LoggingPrefsLogLevel, WebDriver};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::Story;
use crate::client::Folder;

/// How long something may take to be seen.
const PATIENCE: Duration = Duration::from_secs(120);
/// The browser reaches what it is sent to, and nothing else.
const FLAGS: [&str; 11] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--lang=en-US",
];

/// Keys, as WebDriver writes them.
pub mod key {
    /// To the next element.
    pub const TAB: &str = "\u{E004}";
    /// Sends a form, or presses a button.
    pub const ENTER: &str = "\u{E007}";
    /// A slider's next value.
    pub const RIGHT: &str = "\u{E014}";
    /// A slider's value before.
    pub const LEFT: &str = "\u{E012}";
}

/// How a page is shown.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// The window's width in pixels.
    pub width: u32,
    /// `light` or `dark`.
    pub scheme: &'static str,
}

/// A browser with one window.
pub struct Browser {
    driver: WebDriver,
    downloads: String,
    _driver_program: Child,
}

impl Browser {
    /// Opens a browser, tells a story with it, and closes it again, also when the story fails. Its files are in `folder`.
    pub async fn tell(folder: &Arc<Folder>, story: impl AsyncFnOnce(&Self) -> Story) -> Story {
        let browser = Self::open(folder).await?;
        let told = AssertUnwindSafe(story(&browser)).catch_unwind().await;
        // whatever it has to say helps to understand what went wrong
        if !matches!(told, Ok(Ok(()))) {
            let name = browser.screenshot("page-failed", Look { width: 1000, scheme: "light" }).await;
            eprintln!(
                "when the story failed, the page was as in {name:?}; complaints: {:?}",
                browser.complaints().await
            );
        }
        browser.driver.quit().await?;
        told.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    async fn open(folder: &Arc<Folder>) -> anyhow::Result<Self> {
        let (program, address) = start_driver().await?;
        let mut wanted = DesiredCapabilities::chrome();
        for flag in FLAGS {
            wanted.add_arg(flag)?;
        }
        wanted.add_arg(&format!("--user-data-dir={}", folder.path("profile")))?;
        wanted.set_browser_log_level(LoggingPrefsLogLevel::All)?;
        let client = reqwest::Client::builder().no_proxy().build()?;
        let driver = WebDriver::builder(address, wanted).client(client).await.context("no browser")?;
        let downloads = folder.path("downloads");
        std::fs::create_dir_all(&downloads)?;
        let browser = Self { driver, downloads, _driver_program: program };
        let allow = json!({"behavior": "allow", "downloadPath": browser.downloads});
        browser.command("Browser.setDownloadBehavior", allow).await?;
        Ok(browser)
    }

    /// A command of Chromium's own protocol.
    async fn command(&self, name: &str, parameters: Value) -> Story {
        self.driver.cdp().send_raw(name, parameters).await.with_context(|| name.to_owned())?;
        Ok(())
    }

    /// Runs a script in every page before the page's own.
    pub async fn before_each_page(&self, script: &str) -> Story {
        self.command("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script })).await
    }

    /// Opens an address.
    pub async fn go(&self, address: &str) -> Story {
        Ok(self.driver.goto(address).await?)
    }

    /// Presses keys, one after the other.
    pub async fn press(&self, keys: &str) -> Story {
        Ok(self.driver.action_chain().send_keys(keys).perform().await?)
    }

    /// Presses Tab until this element has the focus.
    pub async fn tab_to(&self, id: &str) -> Story {
        for _ in 0..60 {
            self.press(key::TAB).await?;
            if self.value("document.activeElement.id").await? == id {
                return Ok(());
            }
        }
        bail!("#{id} cannot be reached by the Tab key")
    }

    /// Chooses a file, as by the browser's own window.
    pub async fn choose_file(&self, id: &str, path: &str) -> Story {
        let input = self.driver.find(thirtyfour::By::Id(id)).await?;
        Ok(input.send_keys(path).await?)
    }

    /// What an expression of JavaScript gives; a promise is waited for.
    pub async fn value(&self, expression: &str) -> anyhow::Result<Value> {
        let script = format!(
            "const done = arguments[0]; (async () => ({expression}))().then(value => done({{value}}), error => done({{error: String(error)}}))"
        );
        let answer = self.driver.execute_async(script, Vec::new()).await?.json().clone();
        match &answer["error"] {
            Value::Null => Ok(answer["value"].clone()),
            error => bail!("{expression}: {error}"),
        }
    }

    /// The text of an element; none if it is not shown.
    pub async fn text(&self, id: &str) -> anyhow::Result<Option<String>> {
        let expression = format!(
            "(element => element.checkVisibility() ? element.innerText : null)(document.getElementById({id:?}))"
        );
        Ok(self.value(&expression).await?.as_str().map(str::to_owned))
    }

    /// Waits until an element is shown with a text in it.
    pub async fn wait_text(&self, id: &str, part: &str) -> anyhow::Result<String> {
        let began = Instant::now();
        loop {
            let text = self.text(id).await?;
            match text {
                Some(text) if text.contains(part) => return Ok(text),
                _ if began.elapsed() < PATIENCE => tokio::time::sleep(Duration::from_millis(100)).await,
                text => bail!("#{id} does not say {part:?}, but {text:?}"),
            }
        }
    }

    /// Waits until a file was downloaded whole; gives its name and content.
    pub async fn downloaded(&self) -> anyhow::Result<(String, Vec<u8>)> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            for file in std::fs::read_dir(&self.downloads)? {
                let name = file?.file_name().to_string_lossy().into_owned();
                // while it is under way, it is hidden, or called so
                if !name.starts_with('.') && !name.ends_with(".crdownload") {
                    let path = PathBuf::from(&self.downloads).join(&name);
                    let content = std::fs::read(&path)?;
                    std::fs::remove_file(path)?;
                    return Ok((name, content));
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("nothing was downloaded")
    }

    /// Shows the page otherwise.
    pub async fn show(&self, look: Look) -> Story {
        let features = json!([{"name": "prefers-color-scheme", "value": look.scheme}]);
        self.command("Emulation.setEmulatedMedia", json!({ "features": features })).await?;
        self.resize(look.width, 800).await
    }

    async fn resize(&self, width: u32, height: u64) -> Story {
        let window = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.command("Emulation.setDeviceMetricsOverride", window).await?;
        // laid out and drawn, transitions included
        let drawn = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 400))))";
        self.value(drawn).await?;
        Ok(())
    }

    /// The whole page as a picture in target/screenshots; gives its path.
    pub async fn screenshot(&self, name: &str, look: Look) -> anyhow::Result<PathBuf> {
        self.show(look).await?;
        let height =
            self.value("document.documentElement.scrollHeight").await?.as_u64().context("no height")?;
        self.resize(look.width, height).await?;
        let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/screenshots"));
        std::fs::create_dir_all(&folder)?;
        let path = folder.canonicalize()?.join(format!("{name}.png"));
        std::fs::write(&path, self.driver.screenshot_as_png().await?)?;
        println!("screenshot: {}", path.display());
        Ok(path)
    }

    /// What the browser has warned of since it was asked last: what its policy refused, errors, failed requests.
    pub async fn complaints(&self) -> anyhow::Result<Vec<String>> {
        let log = self.driver.browser_log().await?;
        let serious = log.into_iter().filter(|entry| entry.level != "INFO" && entry.level != "DEBUG");
        Ok(serious.map(|entry| entry.message).collect())
    }
}

/// Debian's chromedriver, and where it listens.
async fn start_driver() -> anyhow::Result<(Child, String)> {
    let mut program = Command::new("chromedriver")
        .arg("--port=0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("chromedriver: run the tests by tests/e2e/run")?;
    let mut lines = BufReader::new(program.stdout.take().context("no output")?).lines();
    while let Some(line) = lines.next_line().await? {
        // «ChromeDriver was started successfully on port 41234.»
        if let Some((_, port)) = line.rsplit_once("started successfully on port ") {
            let address = format!("http://127.0.0.1:{}", port.trim_end_matches('.'));
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok((program, address));
        }
    }
    bail!("chromedriver has ended")
}
