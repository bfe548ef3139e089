//! Writes the CustomResourceDefinitions as YAML: `crdgen DIR...` into each folder, one file a resource.

use std::path::Path;

use crds::{LinkageProject, LinkageRun};
use kube::CustomResourceExt;

fn main() -> std::io::Result<()> {
    let folders: Vec<String> = std::env::args().skip(1).collect();
    if folders.is_empty() {
        eprintln!("usage: crdgen DIR...\nWrites linkageprojects.yaml and linkageruns.yaml into each folder.");
        std::process::exit(2);
    }
    for crd in [LinkageProject::crd(), LinkageRun::crd()] {
        let yaml = serde_yaml::to_string(&crd).map_err(std::io::Error::other)?;
        for folder in &folders {
            std::fs::write(Path::new(folder).join(format!("{}.yaml", crd.spec.names.plural)), &yaml)?;
        }
    }
    Ok(())
}
