//! Whether a new run may use the pairs of an earlier one. What is refused here fails in the operator too; but a client
//! learns of it at once.

use crds::{LinkageProject, LinkageRun};

use crate::App;
use crate::endpoints::run_status::{self, RunState};
use crate::error::Error;

/// Refuses a run whose `from_run` is none of the project's runs, has failed, or has a higher threshold.
pub async fn check(app: &App, project: &LinkageProject, run: &LinkageRun) -> Result<(), Error> {
    let Some(reference) = &run.spec.from_run else { return Ok(()) };
    let refuse = |why: String| Err(Error::Invalid(why));
    let Some(earlier) = app.cluster.run(project, &reference.name).await? else {
        return refuse("from_run is no run of this project; give the run_id of one, or leave it out".into());
    };
    if run_status::state(&earlier) == RunState::Error {
        return refuse("from_run is a run that has failed; leave it out".into());
    }
    let (wanted, kept) = (run.spec.threshold, earlier.spec.threshold);
    if wanted < kept {
        return refuse(format!(
            "threshold is {wanted}, but the run that from_run names kept the pairs at or above {kept} only; leave \
             from_run out"
        ));
    }
    Ok(())
}
