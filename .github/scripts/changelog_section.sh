#!/bin/sh
# changelog_section.sh VERSION [FILE]: prints the section of a version of CHANGELOG.md, for the text of its release.
set -eu
version=$1 file=${2:-CHANGELOG.md}
section=$(awk -v heading="## $version" -v version="$version" '
    /^## / { inside = ($0 == heading || index($0, heading " ") == 1 || index($0, "## [" version "]") == 1); next }
    inside { print }
' "$file")
if [ -z "$(printf '%s' "$section" | tr -d '[:space:]')" ]; then
    echo "error: $file has no section '## $version', or nothing in it" >&2
    exit 1
fi
printf '%s\n' "$section"
