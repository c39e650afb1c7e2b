#!/bin/sh
# snippex in docker-compose.yml: its database is the one in PostgreSQL, and the ARM64 container is a host called `arm`.
set -eu
SNIPPEX_DATABASE=$(cat /run/secrets/snippex_database_url)
export SNIPPEX_DATABASE
# ssh refuses keys that others may read, and a mounted secret is readable.
install -m 600 /run/secrets/ssh_key "$HOME/key"
snippex hosts show arm >/dev/null 2>&1 || snippex hosts add arm --ssh arm --agent /agent/snippex >/dev/null
exec snippex "$@"
