#!/usr/bin/env python3
"""coverage_badge.py COVERAGE BADGE: what `cargo llvm-cov --json --summary-only` found, as a table a crate, and for a badge of
shields.io (https://shields.io/badges/endpoint-badge)."""

import json
import re
import sys


def by_crate(files):
    """Lines covered and lines, by the crate in the file's path."""
    crates = {}
    for file in files:
        found = re.search(r"/(?:crates|bins)/([^/]+)/", file["filename"])
        if found:
            lines = file["summary"]["lines"]
            covered, count = crates.get(found[1], (0, 0))
            crates[found[1]] = covered + lines["covered"], count + lines["count"]
    return crates


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        data = json.load(file)["data"][0]
    percent = data["totals"]["lines"]["percent"]
    color = "brightgreen" if percent >= 85 else "orange" if percent >= 70 else "red"
    badge = {"schemaVersion": 1, "label": "coverage", "message": f"{percent:.1f} %", "color": color}
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump(badge, file)
    print("| crate | lines | covered |\n| --- | ---: | ---: |")
    for crate, (covered, count) in sorted(by_crate(data["files"]).items()):
        print(f"| {crate} | {count} | {100 * covered / max(count, 1):.1f} % |")


main()
