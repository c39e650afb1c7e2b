#!/bin/sh
# Makes docs/report.png again: checks two programs of this machine and takes a picture of the report that comes of it.
# Wants snippex, qemu-x86_64 and chromium on the PATH: cargo install --path bins/snippex; cargo xtask install.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export SNIPPEX_DATABASE="$work/picture.db" SNIPPEX_CACHE_FILE="$work/cache.db"
for program in /bin/ls /lib/x86_64-linux-gnu/libm.so.6; do
    # Found something: 1, which is what the picture is for.
    snippex check "$program" --emulator qemu-x86_64 --count 3000 --quiet >/dev/null || [ $? -eq 1 ]
done
snippex report html --title "qemu-user against this CPU" --output "$work/report.html"
chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
    --disable-component-update --disable-sync --user-data-dir="$work/profile" --hide-scrollbars \
    --window-size=1280,1500 --screenshot="$here/report.png" "file://$work/report.html"
