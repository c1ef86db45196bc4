//! How much of its memory the process uses, of what a control group or the configuration allows.
//! Must never guess: where nothing limits it, there is always enough.

use std::path::{Path, PathBuf};
use std::time::Duration;

use limits::Level;

use crate::admin::reload::InForce;
use crate::observe::metrics::resident_bytes;

/// How often it is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Parts of a thousand.
const TIGHT: u64 = 920;
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
            tracing::warn!(level = level.number(), "memory: 0 enough, 1 tight, 2 nothing new");
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

/// So many parts of a thousand are used.
fn part(used: Option<u64>, max: u64) -> u64 {
    used.unwrap_or(0).saturating_mul(1000) / max.max(1)
}

/// The control groups of this process that limit memory, its own and those above it.
#[derive(Debug)]
struct Groups(Vec<Group>);

#[derive(Debug)]
struct Group {
    max: PathBuf,
    used: PathBuf,
    statistics: PathBuf,
    /// The line of the statistics that tells of what the kernel can take back at once.
    reclaimable: &'static str,
}

impl Groups {
    /// Those that `root` names; a missing file is no group.
    fn find(root: &Path) -> Groups {
        let of_process = std::fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
        let mounted = root.join("sys/fs/cgroup");
        let mut groups = Vec::new();
        for line in of_process.lines() {
            let mut parts = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
            let is_second = controllers.is_empty();
            let top = match (is_second, controllers.split(',').any(|name| name == "memory")) {
                (true, _) => mounted.clone(),
                (false, true) => mounted.join("memory"),
                (false, false) => continue,
            };
            // Within a container the path may be one of the host; then only the top is there.
            for above in Path::new(path.trim_start_matches('/')).ancestors() {
                groups.push(Group::new(&top.join(above), is_second));
            }
        }
        groups.retain(|group| group.used.exists() && group.max.exists());
        Groups(groups)
    }

    /// Of the group that is fullest.
    fn part(&self) -> u64 {
        self.0.iter().map(Group::part).max().unwrap_or(0)
    }
}

impl Group {
    fn new(folder: &Path, is_second: bool) -> Group {
        let [max, used, reclaimable] = match is_second {
            true => ["memory.max", "memory.current", "inactive_file "],
            false => ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "],
        };
        Group {
            max: folder.join(max),
            used: folder.join(used),
            statistics: folder.join("memory.stat"),
            reclaimable,
        }
    }

    fn part(&self) -> u64 {
        // "max" is no number and no limit.
        let (Some(max), Some(used)) = (number_in(&self.max), number_in(&self.used)) else {
            return 0;
        };
        let whole = part(Some(used), max);
        if whole < TIGHT {
            return whole;
        }
        // Files that the kernel keeps at hand count as used, but go before anybody is killed.
        let statistics = std::fs::read_to_string(&self.statistics).unwrap_or_default();
        let line = statistics.lines().find_map(|line| line.strip_prefix(self.reclaimable));
        let reclaimable = line.and_then(|number| number.trim().parse().ok()).unwrap_or(0);
        part(Some(used.saturating_sub(reclaimable)), max)
    }
}

fn number_in(file: &Path) -> Option<u64> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
