//! Progress on a terminal as a bar, elsewhere as a line every few seconds.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;

use scorer::job::JobState;
use scorer::progress::{Progress, Stage};

const BAR_INTERVAL: Duration = Duration::from_millis(100);
const LINE_INTERVAL: Duration = Duration::from_secs(5);
const BAR: &str =
    "{prefix:8} {wide_bar} {percent:>3}%  {human_pos} of {human_len} comparisons  {msg}  ETA {eta}";

/// Shows how far a run is, until it is dropped.
pub(super) struct ProgressDisplay {
    task: JoinHandle<()>,
    bar: Option<ProgressBar>,
}

impl ProgressDisplay {
    pub fn start(state: Arc<JobState>) -> Self {
        let bar = std::io::stderr().is_terminal().then(new_bar);
        let task = match bar.clone() {
            Some(bar) => tokio::spawn(show_bar(bar, state)),
            None => tokio::spawn(print_lines(state)),
        };
        Self { task, bar }
    }
}

impl Drop for ProgressDisplay {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn new_bar() -> ProgressBar {
    let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}

async fn show_bar(bar: ProgressBar, state: Arc<JobState>) {
    let mut ticks = tokio::time::interval(BAR_INTERVAL);
    loop {
        ticks.tick().await;
        let progress = state.progress();
        bar.set_prefix(name(progress.stage));
        bar.set_length(progress.total_comparisons);
        bar.set_position(progress.comparisons);
        bar.set_message(so_far(&progress));
    }
}

async fn print_lines(state: Arc<JobState>) {
    let mut ticks = tokio::time::interval_at((Instant::now() + LINE_INTERVAL).into(), LINE_INTERVAL);
    loop {
        ticks.tick().await;
        let progress = state.progress();
        let Progress { stage, comparisons, total_comparisons, .. } = progress;
        let so_far = so_far(&progress);
        eprintln!("{}: {comparisons} of {total_comparisons} comparisons, {so_far}", name(stage));
    }
}

/// What has come of the comparisons.
fn so_far(progress: &Progress) -> String {
    let Progress { pairs, mask_encrypted, mask_total, .. } = progress;
    match mask_total {
        0 => format!("{pairs} pairs"),
        _ => format!("{pairs} pairs, {mask_encrypted} of {mask_total} elements of the mask encrypted"),
    }
}

fn name(stage: Stage) -> &'static str {
    match stage {
        Stage::Loading => "loading",
        Stage::Scoring => "scoring",
        Stage::Solving => "solving",
        Stage::Done => "done",
    }
}
