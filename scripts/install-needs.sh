#!/usr/bin/env bash
# Installs what is missing to build and run Caldera (`run`), and to test it (`test`), with apt-get where this user may.
# On another system, or without the right, it says which packages are missing and ends with an error.
set -euo pipefail

purpose=${1:-run}
packages=()

has() { command -v "$1" >/dev/null 2>&1; }

# First, so that nothing is installed in vain.
if ! has cargo; then
    echo "Missing: Rust. Install it from https://rustup.rs and try again." >&2
    exit 1
fi

has_server_programs() {
    has initdb && has postgres && return 0
    has pg_config && [ -x "$(pg_config --bindir)/initdb" ] && return 0
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null ||
        compgen -G '/usr/pgsql-*/bin/initdb' >/dev/null ||
        compgen -G '/opt/homebrew/opt/postgresql@*/bin/initdb' >/dev/null ||
        compgen -G '/usr/local/opt/postgresql@*/bin/initdb' >/dev/null
}

can_link_libpq() {
    local directory
    directory=$(pg_config --libdir 2>/dev/null || echo /usr/lib)
    echo 'int main(void) { return 0; }' | cc -x c - -L"$directory" -lpq -o /dev/null 2>/dev/null
}

has cc || packages+=(gcc libc6-dev)
has pkg-config || packages+=(pkg-config)
{ has cc && can_link_libpq; } || packages+=(libpq-dev)
# A server that runs already, named by DATABASE_URL, is as good; the suite wants one of its own.
if [ "$purpose" = test ] || [ -z "${DATABASE_URL:-}" ]; then
    has_server_programs || packages+=(postgresql)
fi
if [ "$purpose" = test ]; then
    has node || packages+=(nodejs)
    has npm || packages+=(npm)
    python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3 python3-venv)
    { has chromium || has google-chrome; } || packages+=(chromium)
    { has python3 && python3 -c 'import ensurepip, venv' 2>/dev/null; } || packages+=(python3-venv)
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo -n)
fi
if [ ${#packages[@]} -gt 0 ]; then
    if ! has apt-get || ! "${as_root[@]}" true 2>/dev/null; then
        echo "Missing, by the names of Debian's packages: ${packages[*]}" >&2
        echo "Install them with your package manager (Fedora: gcc libpq-devel postgresql-server nodejs npm python3;" >&2
        echo "macOS: brew install postgresql@17 libpq node python) and try again." >&2
        exit 1
    fi
    echo "Installing ${packages[*]}"
    # Only the programs of PostgreSQL are wanted, not a server of the system's.
    if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        "${as_root[@]}" mkdir -p /etc/postgresql-common
        echo 'create_main_cluster = false' | "${as_root[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
    fi
    "${as_root[@]}" apt-get update -q
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
        -o Dpkg::Options::=--force-confold "${packages[@]}"
fi

# The tests want Prometheus's promtool and nothing else of its package, which would start a server.
install_promtool() {
    local place
    place=$(mktemp -d)
    chmod 755 "$place"
    if (
        cd "$place"
        "${as_root[@]}" apt-get update -q
        apt-get download -q prometheus
        dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool
        "${as_root[@]}" install -m 755 usr/bin/promtool /usr/local/bin/promtool
    ); then
        rm -rf "$place"
    else
        rm -rf "$place"
        echo "Missing: promtool, which is part of Prometheus. Install it and try again." >&2
        exit 1
    fi
}

if [ "$purpose" = test ] && ! has promtool; then
    install_promtool
fi
