#!/bin/sh
# Makes PostgreSQL, MariaDB, Redis, git, ssh-keygen and Go with golang.org/x/mod available to the tests. Installs Debian's
# packages where they are missing and we are root; starts no service and leaves no configuration of ours behind. Never
# fails: a test that misses what it needs says so, and fails where CI=true.

GUARD=/usr/sbin/policy-rc.d

have_postgres() { command -v postgres >/dev/null || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; }
have_mariadb() { PATH="$PATH:/usr/sbin" command -v mariadbd >/dev/null && command -v mariadb-install-db >/dev/null; }
have_redis() { command -v redis-server >/dev/null; }
have_git() { command -v git >/dev/null; }
have_ssh_keygen() { command -v ssh-keygen >/dev/null; }
have_go() { command -v go >/dev/null; }
have_go_packages() { [ -d /usr/share/gocode/src/golang.org/x/mod/sumdb ]; }

missing() {
    have_postgres || echo postgresql
    have_mariadb || echo mariadb-server
    have_redis || echo redis-server
    have_git || echo git
    have_ssh_keygen || echo openssh-client
    have_go || echo golang-go
    have_go_packages || echo golang-golang-x-mod-dev
}

packages=$(missing | tr '\n' ' ')
[ -n "$packages" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing for the tests: $packages"
    # Debian starts a server as soon as it is installed, unless this file answers 101 (policy-rc.d).
    if [ ! -e "$GUARD" ]; then
        trap 'rm -f "$GUARD"' EXIT
        trap 'exit 130' INT TERM
        printf '#!/bin/sh\nexit 101\n' >"$GUARD" && chmod 755 "$GUARD"
    fi
    log=$(mktemp)
    # shellcheck disable=SC2086 # one word a package
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages; } \
        >"$log" 2>&1 || tail -n 20 "$log" >&2
    rm -f "$log"
fi

packages=$(missing | tr '\n' ' ')
if [ -n "$packages" ]; then
    echo "=======================================================================" >&2
    echo "NOT INSTALLED, and needed by tests: $packages" >&2
    echo "Their tests will not run. As root: apt-get install $packages" >&2
    echo "=======================================================================" >&2
fi
exit 0
