//! `scorer run` gives the verdict on a file that `kubectl apply` gives.

mod verdicts;

#[test]
fn a_file_is_taken_or_refused_as_by_kubectl() {
    for case in verdicts::cases() {
        let verdict = crds::manifests::read(&case.yaml).map_err(|error| error.to_string());
        match (case.told, verdict) {
            (None, Ok(_)) => {}
            (Some(told), Err(error)) if error.contains(told) => {}
            (told, verdict) => panic!(
                "{}: {}\nexpected: {told:?}\ngot: {:?}",
                case.name,
                case.what,
                verdict.map(|_| "it is taken")
            ),
        }
    }
}
