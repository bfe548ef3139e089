//! The folders in the store that belong to a project or a run.
//!
//! A folder's name holds the uid, which is never used again, unlike the name of a resource; and the id of the
//! installation, by which an installation tells its own folders from those of others that use the same bucket.

use crate::tokens::MasterKey;

/// Below this lie the folders of projects.
pub const PROJECTS: &str = "projects/";
/// Below this lie the folders of runs.
pub const RUNS: &str = "runs/";
/// Characters of an installation's id.
const ID_LENGTH: usize = 12;

/// What tells the folders of one installation from those of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation(String);

impl Installation {
    /// The installation that has this master key and serves this namespace. The namespace counts because a key may have been
    /// copied: whoever took another's folders for its own would remove them.
    pub fn of(master_key: &MasterKey, namespace: &str) -> Self {
        Self(master_key.fingerprint(namespace)[..ID_LENGTH].to_owned())
    }

    /// The folder of a project, ending in `/`.
    pub fn project(&self, uid: &str) -> String {
        format!("{PROJECTS}{}-{uid}/", self.0)
    }

    /// The folder of a run, ending in `/`.
    pub fn run(&self, uid: &str) -> String {
        format!("{RUNS}{}-{uid}/", self.0)
    }

    /// What the keys of all this installation's objects below a root, [`PROJECTS`] or [`RUNS`], begin with.
    pub fn all_below(&self, root: &str) -> String {
        format!("{root}{}-", self.0)
    }

    /// The uid in the name of a folder of this installation, without what stands before and after; none if the folder is not
    /// this installation's.
    pub fn uid<'a>(&self, folder: &'a str) -> Option<&'a str> {
        folder.strip_prefix(&self.0)?.strip_prefix('-').filter(|uid| !uid.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installation_knows_its_own_folders_only() {
        let of = |byte, namespace| Installation::of(&MasterKey::new(&[byte; 32]).unwrap(), namespace);
        let (ours, theirs) = (of(1, "linkage"), of(2, "linkage"));
        assert_ne!(ours, of(1, "staging"));
        let folder = ours.project("0b5c-1");
        assert!(folder.starts_with(PROJECTS) && folder.ends_with("-0b5c-1/"), "{folder}");
        let name = &folder[PROJECTS.len()..folder.len() - 1];
        assert_eq!(ours.uid(name), Some("0b5c-1"));
        assert_eq!(theirs.uid(name), None);
        assert_eq!(ours.uid("0b5c-1"), None);
        assert!(ours.run("7").starts_with(&ours.all_below(RUNS)));
        assert!(!ours.run("7").starts_with(&theirs.all_below(RUNS)));
    }
}
