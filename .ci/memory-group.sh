# Control groups that limit memory; sourced by .ci/run and by checks of tests/outside. Needs root.

# memory_group BYTES: a control group of that size, in $group; version 1 or 2, whichever there is. Whoever
# makes it removes it.
memory_group() {
    if [ -d /sys/fs/cgroup/memory ]; then
        group=/sys/fs/cgroup/memory/tieline-tests-$$
        mkdir "$group"
        echo "$1" >"$group/memory.limit_in_bytes"
    else
        group=/sys/fs/cgroup/tieline-tests-$$
        echo +memory >/sys/fs/cgroup/cgroup.subtree_control
        mkdir "$group"
        echo "$1" >"$group/memory.max"
        echo 0 >"$group/memory.swap.max" 2>/dev/null || true
    fi
}

# How many were killed, and the most memory used at once, in bytes.
memory_used() {
    if [ -f "$group/memory.oom_control" ]; then
        echo "$(awk '$1 == "oom_kill" { print $2 }' "$group/memory.oom_control") $(cat "$group/memory.max_usage_in_bytes")"
    else
        echo "$(awk '$1 == "oom_kill" { print $2 }' "$group/memory.events") $(cat "$group/memory.peak")"
    fi
}
