//! The checked-in YAML is what the types say.

use crds::{LinkageProject, LinkageRun};
use kube::CustomResourceExt;

#[test]
fn the_checked_in_yaml_is_fresh() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    for crd in [LinkageProject::crd(), LinkageRun::crd()] {
        let expected = serde_yaml::to_string(&crd).unwrap();
        for folder in ["crds/yaml", "charts/linkage-operator/crds"] {
            let path = format!("{root}/{folder}/{}.yaml", crd.spec.names.plural);
            let found = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(found == expected, "{path} is stale: run `make generate`");
        }
    }
}
