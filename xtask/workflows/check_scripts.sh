#!/bin/sh
# check_scripts.sh REPOSITORY BENCHGATE: the scripts that workflows call do what they are for, with the real benchgate.
set -eu
repository=$1 benchgate=$2
scripts=$repository/.github/scripts
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
fail() { echo "error: $*" >&2; exit 1; }

printf '# Changes\n\n## Unreleased\n\n- next\n\n## [0.1.0] - 2026-11-29\n\n- first\n\n## 0.0.9\n\n- old\n\n## 0.0.8\n\n' >changes.md
[ "$("$scripts/changelog_section.sh" 0.1.0 changes.md | tr -d '\n')" = '- first' ] || fail 'the section of a version is not what stands under its heading'
[ "$("$scripts/changelog_section.sh" 0.0.9 changes.md | tr -d '\n')" = '- old' ] || fail 'a heading without brackets is not found'
for version in 0.1 0.0.8 1.0.0; do
    if "$scripts/changelog_section.sh" "$version" changes.md 2>/dev/null; then fail "$version has a section"; fi
done

cat >coverage.json <<'EOF'
{"data": [{"files": [{"filename": "/x/crates/a/src/lib.rs", "summary": {"lines": {"count": 10, "covered": 9}}},
{"filename": "/x/crates/a/src/b.rs", "summary": {"lines": {"count": 10, "covered": 8}}}], "totals": {"lines": {"percent": 85.0}}}]}
EOF
"$scripts/coverage_badge.py" coverage.json badge.json | grep -qF '| a | 20 | 85.0 % |' || fail 'coverage by crate is wrong'
grep -qF '"message": "85.0 %", "color": "brightgreen"' badge.json || fail 'the badge of the coverage is wrong'

mkdir project branch
cd project
git init --quiet . && git config user.name x && git config user.email x@example.org && echo target >.gitignore
measure() {
    printf '#!/bin/sh\necho "test parse ... bench: %s ns/iter (+/- 3)"\n' "$1" >bench.sh
    chmod +x bench.sh
    git add --all && git commit --quiet --allow-empty --message "$1"
    "$benchgate" run --quiet --runs 5 -- ./bench.sh >/dev/null
    "$scripts/add_to_history.sh" "$benchgate" target/benchgate/run.json ../branch >/dev/null 2>&1
}
for run in 1 2 3 4 5 6 7 8 9 10 11 12; do measure $((1000 + run % 3)); done
grep -qF '"message": "passing"' ../branch/badge.json || fail "twelve equal runs: $(cat ../branch/badge.json)"
measure 2000
grep -qF '"message": "slower"' ../branch/badge.json || fail "a run that is twice as slow: $(cat ../branch/badge.json)"
[ "$(wc -l <../branch/history.jsonl)" = 13 ] || fail 'not every run is in the history'
[ -s ../branch/report.html ] || fail 'there is no page'
echo 'scripts of the workflows: nothing is wrong'
