//! A group of processes with little memory.

use std::path::{Path, PathBuf};

/// A control group with little memory.
pub(crate) struct MemoryGroup(PathBuf);

impl MemoryGroup {
    /// `None`, said loudly, where there can't be one.
    pub(crate) fn of_megabytes(megabytes: usize) -> Option<Self> {
        let name = format!("wikigrove-torture-{}", std::process::id());
        let limit = (megabytes << 20).to_string();
        let places =
            [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];
        for (root, file) in places {
            let group = Path::new(root).join(&name);
            // In the second version it is handed down on request only.
            let _ = std::fs::write(Path::new(root).join("cgroup.subtree_control"), "+memory");
            let made = std::fs::create_dir(&group).is_ok();
            let group = Self(group);
            if made && std::fs::write(group.0.join(file), &limit).is_ok() {
                return Some(group);
            }
        }
        testkit::skip("this test makes a control group for memory, which takes root");
        None
    }

    /// The line of shell that enters it.
    pub(crate) fn entry(&self) -> String {
        format!("echo $$ > '{}'", self.0.join("cgroup.procs").display())
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}
