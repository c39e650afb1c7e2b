#!/bin/sh
# make_secrets.sh [FOLDER]: makes what docker-compose.yml wants in docker/secrets, and leaves alone what is there.
set -eu
folder=${1:-$(dirname "$0")/secrets}
umask 077
mkdir -p "$folder"
random() { head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }
make() { [ -e "$folder/$1" ] || printf '%s' "$2" >"$folder/$1"; }
make postgres_password "$(random)"
make grafana_password "$(random)"
make regressd_database_url "postgres://regressd:$(random)@postgres/regressd"
make snippex_database_url "postgres://snippex:$(random)@postgres/snippex"
[ -e "$folder/ssh_key" ] || ssh-keygen -q -t ed25519 -N '' -C snippex -f "$folder/ssh_key"
# Containers read them as users of their own; the folder keeps others out.
chmod 644 "$folder"/*
chmod 700 "$folder"
echo "the secrets are in $folder; keep it out of version control and backups of others"
