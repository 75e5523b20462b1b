#!/usr/bin/env bash
# Tries what is in deploy/ with a real Prometheus: tests/deploy/run.sh path/to/tokenward
set -euo pipefail

binary=$(realpath "$1")
cd "$(dirname "$0")/../.."

if ! command -v prometheus >/dev/null || ! command -v promtool >/dev/null; then
    if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
        echo "installing Debian's prometheus" >&2
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends prometheus >/dev/null
    else
        echo "This test needs prometheus and promtool. On Debian: apt-get install -y prometheus" >&2
        exit 1
    fi
fi

export PYTHONDONTWRITEBYTECODE=1
# On a Postgres of its own: it is all theirs.
env -u TOKENWARD_TEST_POSTGRES_URL scripts/with-postgres bash -c \
    'TOKENWARD_STORE=$TOKENWARD_TEST_POSTGRES_URL "$@"' bash python3 tests/deploy/check.py "$binary"
