#!/usr/bin/env bash
# Runs the Python clients against a server binary, in a virtual environment kept under target/.
# usage: tests/clients/run.sh path/to/tokenward
set -euo pipefail

binary=$(realpath "$1")
cd "$(dirname "$0")/../.."
venv=target/clients

# Debian splits venv and pip off; install them when that is possible, say so when it is not.
if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3 python3-venv python3-pip >/dev/null
    else
        echo "The client test needs Python 3 with venv. On Debian: apt-get install -y python3 python3-venv python3-pip" >&2
        exit 1
    fi
fi

if ! cmp -s tests/clients/requirements.txt "$venv/requirements.txt"; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r tests/clients/requirements.txt
    cp tests/clients/requirements.txt "$venv/"
fi

export PYTHONDONTWRITEBYTECODE=1
"$venv/bin/python" tests/clients/life.py "$binary"
"$venv/bin/python" tests/clients/webhooks.py "$binary"
# gRPC itself would print each refusal that is provoked there.
GRPC_VERBOSITY=NONE "$venv/bin/python" tests/clients/tls.py "$binary"
# On a Postgres of its own, whichever there is: it is all theirs.
env -u TOKENWARD_TEST_POSTGRES_URL scripts/with-postgres bash -c \
    'TOKENWARD_STORE=$TOKENWARD_TEST_POSTGRES_URL "$@"' bash "$venv/bin/python" tests/clients/fleet.py "$binary"
