#!/bin/sh
# A benchmark command with known noise: prints three libtest lines. The files beside it decide what happens:
#   slow      per mille that beta takes, 1000 without it
#   fail-at   the run (counted in .count) that fails
#   hang-at   the run that never ends
count=$(cat .count 2>/dev/null || echo 0)
count=$((count + 1))
echo "$count" > .count
if [ "$count" = "$(cat fail-at 2>/dev/null)" ]; then
    echo "thread 'main' panicked: no luck" >&2
    exit 101
fi
[ "$count" = "$(cat hang-at 2>/dev/null)" ] && sleep 600
for name in alpha beta gamma; do
    base=100000
    [ "$name" = beta ] && base=$((100 * ${SLOW:-$(cat slow 2>/dev/null || echo 1000)}))
    # Up to one percent either way, other in each run and the same in each test.
    noise=$((($count * 7919 + ${#name} * 31 + $base) % 2001 - 1000))
    echo "test $name ... bench:   $((base + noise * base / 100000)) ns/iter (+/- 30)"
done
