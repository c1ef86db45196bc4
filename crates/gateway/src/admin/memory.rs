//! How much of its memory the process uses, of what a control group or the configuration allows.
//! Must never guess: where nothing limits it, there is always enough.

use std::path::Path;
use std::time::Duration;

use limits::Level;

use crate::admin::reload::InForce;
use crate::observe::groups::{Groups, TIGHT, part};
use crate::observe::metrics::resident_bytes;

/// How often it is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Parts of a thousand.
const FULL: u64 = 950;

/// Sets the level of the process's condition for as long as it is polled, and drops what is kept
/// while memory is tight.
pub(crate) async fn watch(in_force: InForce) {
    let groups = Groups::find(Path::new("/"));
    loop {
        let state = in_force.state();
        let level = level(&groups, state.config.limits.memory_max);
        let before = state.lifecycle.set_level(level);
        if level != before {
            let overload_level = level.number();
            tracing::warn!(overload_level, "memory: 0 enough, 1 tight, 2 nothing new");
        }
        if level > Level::Calm {
            for caller in state.callers.all() {
                caller.line.drop_kept();
            }
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

fn level(groups: &Groups, memory_max: Option<u64>) -> Level {
    let own = memory_max.map(|max| part(u64::try_from(resident_bytes().unwrap_or(0)).ok(), max));
    of(groups.part().max(own.unwrap_or(0)))
}

fn of(part: u64) -> Level {
    match part {
        FULL.. => Level::Full,
        TIGHT.. => Level::Tight,
        _ => Level::Calm,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::observe::groups::memory_there_is;

    /// A folder that stands for `/`, with these files; gone at the end.
    struct Root(PathBuf);

    impl Root {
        fn new(test: &str, files: &[(&str, &str)]) -> Root {
            let folder = format!("tieline-memory-{test}-{}", std::process::id());
            let root = Root(std::env::temp_dir().join(folder));
            for (path, text) in files {
                root.write(path, text);
            }
            root
        }

        fn write(&self, path: &str, text: &str) {
            let file = self.0.join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn c08_the_levels_begin_at_92_and_95_parts_of_a_hundred() {
        let levels = [0, 919, 920, 949, 950, 2000].map(of);
        let [calm, tight, full] = [Level::Calm, Level::Tight, Level::Full];
        assert_eq!(levels, [calm, calm, tight, tight, full, full]);
    }

    #[test]
    fn c08_the_fullest_group_counts_without_what_can_be_taken_back() {
        let root = Root::new(
            "second",
            &[
                ("proc/self/cgroup", "0::/a/b\n"),
                ("sys/fs/cgroup/a/memory.max", "1000000\n"),
                ("sys/fs/cgroup/a/memory.current", "940000\n"),
                ("sys/fs/cgroup/a/memory.stat", "anon 1\ninactive_file 0\n"),
                ("sys/fs/cgroup/a/b/memory.max", "max\n"),
                ("sys/fs/cgroup/a/b/memory.current", "10\n"),
            ],
        );
        let groups = Groups::find(&root.0);
        assert_eq!(groups.part(), 940);
        root.write("sys/fs/cgroup/a/memory.stat", "anon 1\ninactive_file 140000\n");
        assert_eq!(groups.part(), 800);
        root.write("sys/fs/cgroup/a/b/memory.max", "10\n");
        assert_eq!(level(&groups, None), Level::Full);
    }

    #[test]
    fn c08_a_group_of_the_first_kind_is_found_where_its_path_is_the_hosts() {
        let root = Root::new(
            "first",
            &[
                ("proc/self/cgroup", "3:cpu,cpuacct:/x\n4:memory:/docker/0123\n"),
                ("sys/fs/cgroup/memory/memory.limit_in_bytes", "2000\n"),
                ("sys/fs/cgroup/memory/memory.usage_in_bytes", "1860\n"),
                ("sys/fs/cgroup/memory/memory.stat", "total_inactive_file 0\n"),
            ],
        );
        assert_eq!(level(&Groups::find(&root.0), None), Level::Tight);
        assert_eq!(Groups::find(Path::new("/no/such/root")).part(), 0);
    }

    #[test]
    fn n01_the_memory_there_is_is_the_least_that_anything_allows() {
        let root = Root::new(
            "there-is",
            &[
                ("proc/meminfo", "MemTotal:           2000 kB\nMemFree:  1 kB\n"),
                ("proc/self/cgroup", "0::/a\n"),
                ("sys/fs/cgroup/a/memory.max", "max\n"),
                ("sys/fs/cgroup/a/memory.current", "10\n"),
            ],
        );
        assert_eq!(memory_there_is(&root.0, None), 2000 << 10);
        assert_eq!(memory_there_is(&root.0, Some(1 << 20)), 1 << 20);
        root.write("sys/fs/cgroup/a/memory.max", "4096\n");
        assert_eq!(memory_there_is(&root.0, Some(1 << 20)), 4096);
        assert_eq!(memory_there_is(Path::new("/no/such/root"), None), 1 << 30);
    }
}
