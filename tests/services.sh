#!/usr/bin/env bash
# Installs what the tests need besides Python packages, where this account may: Chromium for the browser tests.
# Where it may not, the tests that need it skip and say so (or fail, under MATINEE_REQUIRE_ALL).
set -euo pipefail
if command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing Chromium for the browser tests"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
else
    echo "Chromium is missing; the browser tests will be skipped (on Debian: apt-get install chromium)" >&2
fi
