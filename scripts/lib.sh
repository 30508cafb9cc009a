# shellcheck shell=bash
# What the scripts share: packages, and a throw-away PostgreSQL.

headline() { printf '\n== %s\n' "$*"; }
fail() { printf '%s: %s\n' "$0" "$*" >&2; exit 1; }

install_packages() {
    command -v apt-get >/dev/null || fail "cannot install $*: there is no apt-get here; install it by hand"
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || fail "cannot install $*: neither root nor sudo; install it by hand"
        as_root=(sudo)
    fi
    headline "installing $*"
    "${as_root[@]}" apt-get update -qq || fail "apt-get update failed; cannot install $*"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null ||
        fail "apt-get could not install $*"
}

# Stops and switches off a service that came with a package, where there is something that runs services.
stop_service() {
    local as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo)
    if [ -d /run/systemd/system ]; then
        "${as_root[@]}" systemctl disable --now --quiet "$1" || echo "could not stop the service $1" >&2
    elif [ -x "/etc/init.d/$1" ]; then
        "${as_root[@]}" "/etc/init.d/$1" stop >/dev/null || echo "could not stop the service $1" >&2
    fi
}

# Prints the directory of initdb and pg_ctl: the newest Debian one, or else the one in PATH.
find_postgres() {
    local found
    found=$(find /usr/lib/postgresql -path '*/bin/initdb' 2>/dev/null | sort -V | tail -n 1) || true
    [ -n "$found" ] || found=$(command -v initdb || true)
    [ -z "$found" ] || dirname "$(readlink -f "$found")"
}

work=
pg_bin=
# PostgreSQL refuses to run as root.
as_postgres=()

stop_postgres() {
    local status=$?
    trap - EXIT
    if [ -n "$work" ]; then
        if [ -f "$work/data/postmaster.pid" ]; then
            (cd "$work" && "${as_postgres[@]}" "$pg_bin/pg_ctl" -D "$work/data" -m immediate -w stop >/dev/null) ||
                printf '%s: could not stop PostgreSQL in %s\n' "$0" "$work" >&2
        fi
        rm -rf "$work"
    fi
    exit "$status"
}

# With `off` nothing is pushed to the disk: what a process has written outlives the process either way.
start_postgres() {
    pg_bin=$(find_postgres)
    if [ -z "$pg_bin" ]; then
        install_packages postgresql
        pg_bin=$(find_postgres)
        [ -n "$pg_bin" ] || fail "postgresql is installed, but its binaries are not to be found"
    fi

    # In /tmp whatever TMPDIR says: a socket's path may be 107 bytes at most.
    work=$(mktemp -d /tmp/tessera-pg.XXXXXX)
    trap stop_postgres EXIT
    # Without these a signal would skip the EXIT trap of some shells.
    trap 'exit 130' INT
    trap 'exit 143' TERM
    if [ "$(id -u)" -eq 0 ]; then
        id postgres >/dev/null 2>&1 || fail "PostgreSQL does not run as root, and there is no user postgres to run it as"
        as_postgres=(runuser -u postgres --)
        chown postgres "$work"
    fi

    (cd "$work" && "${as_postgres[@]}" "$pg_bin/initdb" -D "$work/data" -U postgres -A trust -E UTF8 --locale=C >"$work/initdb.log" 2>&1) ||
        { cat "$work/initdb.log" >&2; fail "initdb failed"; }
    cat >>"$work/data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = '$work'
max_connections = 200
fsync = ${1:-on}
CONF

    # A port that looks free can be taken before PostgreSQL binds it, so a few are tried.
    local port
    for _ in 1 2 3 4 5; do
        port=$((20000 + RANDOM % 12000))
        if (cd "$work" && "${as_postgres[@]}" "$pg_bin/pg_ctl" -D "$work/data" -l "$work/data/server.log" -o "-p $port" -w start >/dev/null 2>&1); then
            export TESSERA_TEST_POSTGRES="postgres://postgres@127.0.0.1:$port/postgres"
            export TESSERA_TEST_POSTGRES_BIN="$pg_bin"
            echo "$("$pg_bin/postgres" --version) on port $port"
            return
        fi
    done
    cat "$work/data/server.log" >&2 || true
    fail "PostgreSQL did not start"
}

# Installs Python packages into an environment of their own and prints its directory.
python_tools() {
    local venv=target/python-tools
    command -v python3 >/dev/null || install_packages python3 python3-venv >&2
    [ -x "$venv/bin/pip" ] || python3 -m venv "$venv" >/dev/null 2>&1 ||
        { install_packages python3-venv >&2; python3 -m venv "$venv"; }
    "$venv/bin/pip" install --quiet --disable-pip-version-check "$@" >&2 || fail "pip could not install $*"
    printf '%s/%s\n' "$PWD" "$venv"
}

demo_server=
demo_dir=

stop_demo() {
    local status=$?
    trap - EXIT
    [ -z "$demo_server" ] || kill "$demo_server" 2>/dev/null || true
    [ -z "$demo_dir" ] || rm -rf "$demo_dir"
    exit "$status"
}

# Starts `dev` of this binary on a store of its own until the script ends: demo_url, and its dev.json in demo_json.
start_demo() {
    [ -x "$1" ] || fail "$1 is missing: build it first"
    demo_dir=$(mktemp -d)
    trap stop_demo EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    local port=$((20000 + RANDOM % 12000))
    "$1" dev --data "$demo_dir/store" --listen "127.0.0.1:$port" >"$demo_dir/log" 2>&1 &
    demo_server=$!
    demo_url="http://127.0.0.1:$port"
    demo_json="$demo_dir/store/dev.json"
    for _ in $(seq 100); do
        [ ! -f "$demo_json" ] || ! "$1" health --address "127.0.0.1:$port" 2>/dev/null || return 0
        kill -0 "$demo_server" 2>/dev/null || { cat "$demo_dir/log" >&2; fail "the server did not start"; }
        sleep 0.1
    done
    cat "$demo_dir/log" >&2
    fail "the server does not answer"
}

# The end of the demo server's log, for a check that failed.
demo_log() { tail -n 50 "$demo_dir/log" >&2; }
