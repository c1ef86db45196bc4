//! How much memory the control groups of this process allow, and how much of it is used. Must never guess:
//! a file that is missing limits nothing.

use std::path::{Path, PathBuf};

/// Parts of a thousand from which the files that the kernel keeps at hand are looked at.
pub(crate) const TIGHT: u64 = 920;

/// The control groups of this process that limit memory, its own and those above it.
#[derive(Debug)]
pub(crate) struct Groups(Vec<Group>);

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
    pub(crate) fn find(root: &Path) -> Groups {
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
    pub(crate) fn part(&self) -> u64 {
        self.0.iter().map(Group::part).max().unwrap_or(0)
    }
}

/// The memory that the process may have: what a group allows, `memory_max`, or what the machine has,
/// whichever is least.
pub(crate) fn memory_there_is(root: &Path, memory_max: Option<u64>) -> u64 {
    let Groups(groups) = Groups::find(root);
    let of_groups = groups.iter().filter_map(|group| number_in(&group.max));
    of_groups.chain(memory_max).chain(of_machine(root)).min().unwrap_or(UNKNOWN)
}

/// Where nothing tells how much memory there is.
const UNKNOWN: u64 = 1 << 30;

fn of_machine(root: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
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

/// So many parts of a thousand are used.
pub(crate) fn part(used: Option<u64>, max: u64) -> u64 {
    used.unwrap_or(0).saturating_mul(1000) / max.max(1)
}
