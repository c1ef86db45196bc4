# What the checks of this folder share; sourced by them, never run. Stops only what it started.
#
# A check sources this first: it then stands in the project's root, has $work (a folder of its own,
# removed at the end) and the functions below.

cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
name=$(basename "$0" .sh)
work=$(mktemp -d)
started=()

clean_up() {
    local pid
    for pid in ${started[@]+"${started[@]}"}; do
        if kill -0 "$pid" 2>/dev/null; then
            kill -KILL "$pid" 2>/dev/null || true
        fi
    done
    rm -rf "$work"
}
trap clean_up EXIT

# fail TEXT: ends the check, with the last words of whatever it had started. `.ci/run` looks for the line that begins
# with FAILED.
fail() {
    echo "FAILED: $name: $*" >&2
    local log
    for log in "$work"/*.log; do
        [ -e "$log" ] || continue
        echo "--- end of $(basename "$log")" >&2
        tail -c 2000 "$log" >&2 || true
    done
    exit 1
}

# need TOOL=PACKAGE...: installs the packages of the tools that are missing (Debian, as root). Two checks at
# once take turns at it.
need() {
    local pair missing=()
    for pair in "$@"; do
        command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
    done
    if [ "${#missing[@]}" -gt 0 ]; then
        echo "installing ${missing[*]} (apt-get)"
        flock "${TMPDIR:-/tmp}/tieline-apt.lock" sh -c 'apt-get update -qq &&
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"' \
            sh "${missing[@]}" >"$work/apt.log" 2>&1 || fail "apt-get cannot install ${missing[*]}"
    fi
}

# build: the program with every feature, in $tieline; TIELINE names one that is built already.
build() {
    if [ -n "${TIELINE:-}" ]; then
        tieline=$(realpath "$TIELINE")
        return
    fi
    cargo build --release --features dist --locked --quiet
    tieline=$(realpath "${CARGO_TARGET_DIR:-target}")/release/tieline
}

# start LOG COMMAND...: runs it in the background, output in $work/LOG.log; its id is in $pid.
start() {
    local log=$work/$1.log
    shift
    "$@" >>"$log" 2>&1 </dev/null &
    pid=$!
    started+=("$pid")
}

# until_ok SECONDS COMMAND...: tries the command ten times a second until it succeeds.
until_ok() {
    local tries=$(($1 * 10))
    shift
    for _ in $(seq "$tries"); do
        if "$@" >/dev/null 2>&1; then
            return 0
        fi
        sleep 0.1
    done
    fail "not within $((tries / 10)) s: $*"
}

# is_up URL: whether it answers 200.
is_up() {
    curl --silent --fail --max-time 5 --output /dev/null "$1"
}

# shows URL PATTERN: whether the answer to a GET has a line that fits. The answer is read whole before grep sees it: in
# a pipe, grep -q ends at the first fit, and curl, which still writes, then fails the pipe.
shows() {
    local answer
    answer=$(curl --silent --fail --max-time 5 "$1") && grep -q "$2" <<<"$answer"
}

# stopped PID: waits until a process that was told to stop has ended, and tells its exit code in $code.
stopped() {
    for _ in $(seq 600); do
        kill -0 "$1" 2>/dev/null || break
        sleep 0.1
    done
    if kill -0 "$1" 2>/dev/null; then
        fail "still running 60 s after it was told to stop"
    fi
    code=0
    wait "$1" || code=$?
}

# free_port: a port of the loopback that nobody listens on, in $port. Each call gives another one, and two
# checks at once begin far from each other.
next_port=$((20000 + $$ * 37 % 10000))
free_port() {
    for _ in $(seq 1000); do
        next_port=$((next_port + 1))
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$next_port") 2>/dev/null; then
            port=$next_port
            return 0
        fi
    done
    fail "no free port"
}

# vendor USERS: the pretend vendor; its address in $vendor, its v4 key in $v4_key.
vendor() {
    free_port
    vendor=127.0.0.1:$port
    start vendor "$tieline" simulate --users "$1" --listen "$vendor"
    until_ok 30 grep -q "_simulator/stats" "$work/vendor.log"
}

# configuration FILE LISTEN ADMIN [LINE...]: a gateway over the pretend vendor with one caller, whose
# legacy key is legacy-demo-key. The lines stand at the top, for settings of [server] first.
configuration() {
    local file=$1 listen=$2 admin=$3 digest
    shift 3
    digest=$(printf legacy-demo-key | "$tieline" key digest)
    printf v4-demo-key >"$work/v4.key"
    {
        printf '[server]\nlisten = "%s"\n' "$listen"
        printf '%s\n' "$@"
        printf '[admin]\nlisten = "%s"\n' "$admin"
        printf '[upstream.ams]\ndialect = "voiso-v4"\nbase_url = "http://%s"\n' "$vendor"
        printf '[[caller]]\nname = "crm"\nlegacy_key = { digest = "%s" }\n' "$digest"
        printf 'upstream = "ams"\nupstream_key = { file = "v4.key" }\nsees = "everything"\n'
    } >"$file"
}

# gateway NAME [LINE...]: starts one on free ports; $gateway and $admin are its addresses, $pid its id.
gateway() {
    local file=$work/$1.toml
    free_port
    gateway=127.0.0.1:$port
    free_port
    admin=127.0.0.1:$port
    configuration "$file" "$gateway" "$admin" "${@:2}"
    start "$1" "$tieline" serve --config "$file" --log-format json
    until_ok 30 is_up "http://$admin/readyz"
}

# The list that checks ask for, below a gateway's address.
users=/api/user_management/v1/users

# expect_list ADDRESS: keeps the list of users as $work/expected.
expect_list() {
    curl --silent --fail --output "$work/expected" \
        -H 'authorization: Bearer legacy-demo-key' "http://$1$users" || fail "no list of users"
    [ "$(wc -c <"$work/expected")" -gt 50000 ] || fail "the list of users is short"
}

# all_whole LOG: wrk with support/load.lua saw only whole and right answers; $whole counts them.
all_whole() {
    tail -n 1 "$work/$1.log"
    grep -qE '^whole=[0-9]+ wrong=0 connect=0 read=0 write=0 timeout=0 ' "$work/$1.log" ||
        fail "not every request of $1 was answered whole"
    whole=$(sed -n 's/^whole=\([0-9]*\) .*/\1/p' "$work/$1.log")
}

# memory PID WHAT: VmRSS (now) or VmHWM (the most so far) of a process, in MiB.
memory() {
    awk -v what="$2:" '$1 == what { printf "%.1f", $2 / 1024 }' "/proc/$1/status"
}

# cpu PID: processor time of a process so far, in milliseconds.
cpu() {
    awk -v tick="$(getconf CLK_TCK)" '{ sub(/^.*\) /, ""); print int(($12 + $13) * 1000 / tick) }' \
        "/proc/$1/stat"
}
