#!/usr/bin/env bash
# Installs what the tests need besides Python packages, where this account may: Chromium for the browser tests, PostgreSQL
# and MariaDB for those of the store, nginx and systemd's check of units for those of deploy/, OpenMP for LightGBM. Where
# it may not, the tests that need it skip and say so (or fail, under MATINEE_REQUIRE_ALL).
set -euo pipefail
missing=()
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null ||
    missing+=(chromium)
command -v postgres >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || missing+=(postgresql)
PATH=$PATH:/usr/sbin command -v mariadbd >/dev/null || missing+=(mariadb-server)
PATH=$PATH:/usr/sbin command -v nginx >/dev/null || missing+=(nginx-light)
command -v openssl >/dev/null || missing+=(openssl)
ldconfig -p | grep -q libgomp.so.1 || missing+=(libgomp1)
command -v systemd-analyze >/dev/null || missing+=(systemd)
[ ${#missing[@]} = 0 ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing ${missing[*]} for the tests"
    # servers are started by the tests, on ports of their own: the packages are to start none
    policy=/usr/sbin/policy-rc.d
    [ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' >$policy && chmod +x $policy && trap 'rm -f $policy' EXIT; }
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
else
    echo "${missing[*]} missing; the tests that need them will be skipped (on Debian: apt-get install ${missing[*]})" >&2
fi
