# PostgreSQL servers for the checks of the roster; sourced after common.sh. Every server is started on a free port of
# the loopback, in a folder of its own, by the user `postgres` (it refuses root), and is ended with the check.

# postgres_tools: installs the server and PgBouncer where they are missing. No server of Debian's own is started.
postgres_tools() {
    local bin=/usr/lib/postgresql/15/bin
    if ! [ -x $bin/postgres ]; then
        need pg_lsclusters=postgresql-common
        sed -i 's/^#* *create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
    fi
    need $bin/postgres=postgresql-15 pgbouncer=pgbouncer openssl=openssl
    PATH=$bin:$PATH
    export PGCONNECT_TIMEOUT=5
    check=${ROSTER_CHECK:-}
    if [ -z "$check" ]; then
        # Of the whole workspace, so that what its tests were built with is used again.
        cargo build --workspace --example roster_check --locked --quiet
        check=$(realpath "${CARGO_TARGET_DIR:-target}")/debug/examples/roster_check
    fi
    # The servers' user must be able to reach its folders, and read nothing else.
    chmod 711 "$work"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN=localhost \
        -addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' -addext 'basicConstraints=critical,CA:FALSE' \
        -keyout "$work/server.key" -out "$work/server.crt" 2>"$work/openssl.log" || fail "no certificate"
}

# as_postgres COMMAND...: becomes the command, as the servers' user.
as_postgres() {
    exec setpriv --reuid=postgres --regid=postgres --clear-groups --no-new-privs "$@"
}

# server NAME: a new server with a user and a database `tieline`, on $port; its id is in $pid.
server() {
    local folder=$work/$1
    install -d -o postgres -g postgres -m 700 "$folder"
    # The password of the superuser is not needed: it comes over the socket in the folder, as the same user.
    (as_postgres initdb -D "$folder/data" -A scram-sha-256 --auth-local=peer --encoding=UTF8 --locale=C.UTF-8 \
        --no-sync >"$work/initdb.log" 2>&1) || fail "initdb failed"
    install -o postgres -g postgres -m 600 "$work/server.key" "$work/server.crt" "$folder/data"
    cat >>"$folder/data/postgresql.conf" <<-END
		listen_addresses = '127.0.0.1'
		unix_socket_directories = '$folder'
		fsync = off
		ssl = on
		shared_buffers = 64MB
		password_encryption = 'scram-sha-256'
	END
    free_port
    server_at "$1" "$port"
    as_admin "$1" postgres "CREATE ROLE tieline LOGIN PASSWORD '$(cat "$work/password")'" \
        'CREATE DATABASE tieline OWNER tieline'
}

# server_at NAME PORT: starts a server whose folder there is.
server_at() {
    start "$1" as_postgres postgres -D "$work/$1/data" -p "$2"
    until_ok 20 pg_isready -h "$work/$1" -p "$2"
    echo "$2" >"$work/$1.port"
}

# as_admin NAME DATABASE STATEMENT...: the server's owner; what it answers is printed.
as_admin() {
    local name=$1 database=$2 statement statements=()
    shift 2
    for statement in "$@"; do statements+=(-c "$statement"); done
    (as_postgres psql -h "$work/$name" -p "$(cat "$work/$name.port")" -XAtq -v ON_ERROR_STOP=1 "${statements[@]}" \
        "$database" 2>>"$work/psql.log") || fail "psql: ${statements[*]}"
}

# database NAME: a new database of this name on the server `one`; ROSTER_ADDRESS names it.
database() {
    as_admin one postgres "CREATE DATABASE $1 OWNER tieline"
    export ROSTER_ADDRESS="postgresql://tieline@localhost:$(cat "$work/one.port")/$1"
}

# pooler: PgBouncer in transaction mode in front of the server `one`; its port is in $pooled.
pooler() {
    free_port
    pooled=$port
    install -d -o postgres -g postgres -m 700 "$work/pooler"
    printf '"tieline" "%s"\n' "$(cat "$work/password")" >"$work/pooler/users"
    cat >"$work/pooler/pgbouncer.ini" <<-END
		[databases]
		* = host=127.0.0.1 port=$(cat "$work/one.port")
		[pgbouncer]
		listen_addr = 127.0.0.1
		listen_port = $pooled
		unix_socket_dir =
		auth_type = scram-sha-256
		auth_file = $work/pooler/users
		pool_mode = transaction
		default_pool_size = 4
	END
    chown postgres:postgres "$work/pooler/users" "$work/pooler/pgbouncer.ini"
    start pooler as_postgres pgbouncer "$work/pooler/pgbouncer.ini"
    until_ok 10 pg_isready -h 127.0.0.1 -p "$pooled"
}

# checked LABEL ARGUMENT...: roster_check, which must succeed; its last words are printed behind the label.
checked() {
    local label=$1
    shift
    timeout 900 "$check" "$@" >"$work/said.log" 2>&1 || fail "$label: exit code $?"
    echo "$label: $(tail -n 1 "$work/said.log")"
}

# refused LABEL TEXT ARGUMENT...: roster_check, which must fail with this text.
refused() {
    local label=$1 text=$2
    shift 2
    ! timeout 60 "$check" "$@" >"$work/said.log" 2>&1 || fail "$label: no failure"
    grep -q "$text" "$work/said.log" || fail "$label: not refused as it should be"
    echo "$label: refused as it should be"
}
