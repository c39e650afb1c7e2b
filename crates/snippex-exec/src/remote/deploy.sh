# Read by /bin/sh of any host. It asks before anything is sent, and ends in the agent, or in a line that says why not.
# Everything is in a function, so that the shell has read it all before it does the first thing.
snippex_say() { printf '\nsnippex-deploy:%s\n' "$*"; }

snippex_digest() {
    if command -v sha256sum >/dev/null 2>&1; then
        sha256sum <"$1" | cut -c 1-64
    elif command -v shasum >/dev/null 2>&1; then
        shasum -a 256 <"$1" | cut -c 1-64
    elif command -v openssl >/dev/null 2>&1; then
        openssl dgst -sha256 -r <"$1" | cut -c 1-64
    else
        snippex_say "failed there is no sha256sum, shasum or openssl"
        exit 1
    fi
}

# A folder of one's own, in which files can be written and executed.
snippex_usable() {
    [ -n "$1" ] || return 1
    (umask 077 && mkdir -p "$1") 2>/dev/null || return 1
    [ -O "$1" ] 2>/dev/null || [ "$(ls -dn "$1" | awk '{ print $3 }')" = "$(id -u)" ] || return 1
    snippex_trial="$1/.trial$$"
    (printf '#!/bin/sh\nexit 0\n' >"$snippex_trial" && chmod 700 "$snippex_trial") 2>/dev/null &&
        "$snippex_trial" 2>/dev/null
    snippex_works=$?
    rm -f "$snippex_trial" 2>/dev/null
    return $snippex_works
}

snippex_find_folder() {
    snippex_cache=${XDG_CACHE_HOME:-$HOME/.cache}/snippex/agent
    snippex_user=snippex-agent-$(id -u)
    for folder in "$snippex_folder" "$snippex_cache" "${XDG_RUNTIME_DIR:+$XDG_RUNTIME_DIR/$snippex_user}" \
        "${TMPDIR:-/tmp}/$snippex_user" "/var/tmp/$snippex_user" "/dev/shm/$snippex_user"; do
        if snippex_usable "$folder"; then
            return 0
        fi
    done
    snippex_say "failed there is no folder where programs can be put: tried $snippex_cache and the folders for temporary files"
    exit 1
}

# The agents that were used last and are what their names say: one of them makes the wanted one from a patch.
snippex_older() {
    for name in $(ls -t "$folder" 2>/dev/null | head -n 3); do
        if [ -x "$folder/$name" ] && [ "$(snippex_digest "$folder/$name")" = "$name" ]; then
            printf '%s ' "$name"
        fi
    done
}

snippex_receive() {
    part="$folder/.part$$"
    snippex_say send
    if [ "$1" = patch ]; then
        head -c "$2" | "$folder/$3" agent --apply-patch "$folder/$3" >"$part"
    else
        head -c "$2" >"$part"
    fi
    if [ "$(snippex_digest "$part")" != "$sha" ]; then
        rm -f "$part"
        snippex_say "failed the agent did not arrive whole: is $folder full?"
        exit 1
    fi
    chmod 700 "$part" && mv -f "$part" "$folder/$sha"
}

snippex_main() {
    snippex_find_folder
    snippex_say arch "$(uname -m)"
    snippex_say folder "$folder"
    snippex_say kernel "$(uname -sr)"
    snippex_say page-size "$(getconf PAGESIZE 2>/dev/null || echo unknown)"
    for program in FEX FEXInterpreter box64 qemu-x86_64 qemu-x86_64-static valgrind; do
        if command -v $program >/dev/null 2>&1; then
            snippex_say program "$program"
        fi
    done
    snippex_say ready
    read -r sha size || exit 1
    agent="$folder/$sha"
    if [ -x "$agent" ] && [ "$(snippex_digest "$agent")" = "$sha" ]; then
        snippex_say have
        # The time of its last use says which go first.
        touch "$agent" 2>/dev/null
    else
        # What is damaged, and what nobody has used for a month, goes.
        rm -f "$agent"
        find "$folder" -type f -mtime +30 -exec rm -f {} + 2>/dev/null
        snippex_say need "$(snippex_older)"
        read -r how length base || exit 1
        [ "$how" = whole ] || [ "$how" = patch ] || exit 1
        snippex_receive "$how" "$length" "$base" || exit 1
    fi
    exec "$agent" agent
}

# One line, after which nothing comes: what follows is read by the agent.
snippex_main; exit 1
