#!/bin/sh
# Makes a database and a user for each program, once, when the volume is empty. Each password is that of the URL its program is given.
set -eu
for name in regressd snippex; do
    url=/run/secrets/${name}_database_url
    [ -r "$url" ] || continue
    password=$(sed 's|^postgres://[^:]*:\([^@]*\)@.*$|\1|' "$url")
    psql --set ON_ERROR_STOP=1 --set name="$name" --set password="$password" --username "$POSTGRES_USER" <<'SQL'
CREATE USER :"name" PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
SQL
done
