#!/bin/sh
# Starts the SSH server of docker/snippex-arm64.Dockerfile. Its host key is made once and stays on the volume of the home folder, so
# that whoever knows it knows it after an update too.
set -eu
key=/home/snippex/ssh/ssh_host_ed25519_key
[ -r /run/secrets/authorized_keys ] || {
    echo "error: mount the public key that may enter at /run/secrets/authorized_keys" >&2
    exit 1
}
[ -f "$key" ] || ssh-keygen -q -t ed25519 -N '' -f "$key"
# What an x86-64 snippex puts onto ARM64 hosts, for the container that shares this folder.
cp /usr/local/bin/snippex /agent/snippex
exec /usr/sbin/sshd -D -e
