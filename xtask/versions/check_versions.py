"""Checks that `snippex bugs diff` is right between two versions of an engine, by running each bug's example on both.

python3 check_versions.py SNIPPEX FOLDER OLDER NEWER, where OLDER and NEWER are programs that run x86-64 programs.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

# What is swept: enough for dozens of bugs on either version, in minutes also by a debug build.
SWEEP = [
    "check", "--generated", "--no-sequences", "--isa", "general,x87,sse,sse2,bmi1,avx",
    "--per-form", "3", "--states", "12", "--no-cache", "--reduce-time", "120",
]  # fmt: skip
OLDER, NEWER = "older", "newer"


class Snippex:
    """The program in a folder of its own, with both engines in its settings."""

    def __init__(self, program: str, folder: Path):
        self.program, self.folder = str(Path(program).resolve()), folder
        hidden = ("SNIPPEX_DATABASE", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")
        self.environment = {name: value for name, value in os.environ.items() if name not in hidden}
        self.environment["HOME"] = str(folder)

    def run(self, *arguments: str, expected=(0,)) -> str:
        ended = subprocess.run(
            [self.program, *arguments], cwd=self.folder, env=self.environment, text=True, capture_output=True, check=False
        )
        if ended.returncode not in expected:
            raise SystemExit(f"snippex {' '.join(arguments)} ended with {ended.returncode}: {ended.stderr}")
        return ended.stdout

    def passes(self, case: str, engine: str) -> bool:
        """Whether the case in a file ends on an engine as it has to."""
        answer = json.loads(self.run("conformance", case, "-e", engine, "--format", "json", expected=(0, 1)))
        [test] = answer["tests"]
        if test["status"] not in ("passed", "failed"):
            raise SystemExit(f"{case} on {engine}: {test}")
        return test["status"] == "passed"


def main() -> None:
    program, folder, older, newer = sys.argv[1:]
    work = Path(folder)
    work.mkdir(parents=True, exist_ok=True)
    for old_file in work.iterdir():
        if old_file.is_file():
            old_file.unlink()
    snippex = Snippex(program, work)
    database = ["--database", str(work / "versions.db")]
    for name, engine in ((OLDER, older), (NEWER, newer)):
        snippex.run("engines", "add", name, "--command", f"{Path(engine).resolve()} {{runner}}")
        snippex.run(*SWEEP, "-e", name, *database, expected=(0, 1))
    difference = json.loads(
        snippex.run("bugs", "diff", OLDER, NEWER, "--format", "json", *database, expected=(0, 1))
    )
    fixed = {bug["id"] for bug in difference["fixed"]}
    new = {bug["id"] for bug in difference["new"]}
    listed = json.loads(snippex.run("bugs", "--limit", "0", "--format", "json", *database))
    both = {bug["id"] for bug in listed} - fixed - new
    print(f"fixed {len(fixed)}, new {len(new)}, in both {len(both)}")
    wrong = []

    def expect(title: str, bug: str, shown_by: str, expected: dict[str, bool]) -> None:
        """The example that one version has shown has to pass, or not, on these."""
        case = str(work / f"{bug}-{shown_by}.snip")
        snippex.run("repro", bug, "--as", "case", "-e", shown_by, "--output", case, *database)
        for engine, passes in expected.items():
            if snippex.passes(case, engine) != passes:
                says = "fails" if passes else "passes"
                wrong.append(f"{bug} is listed as {title}, but the example that {shown_by} has shown {says} on {engine}")

    for bug in sorted(fixed):
        expect("fixed", bug, OLDER, {OLDER: False, NEWER: True})
    for bug in sorted(new):
        expect("new", bug, NEWER, {OLDER: True, NEWER: False})
    # One that shrinks has examples that pass on the newer version; each version has one that fails.
    for bug in sorted(both):
        expect("in both", bug, OLDER, {OLDER: False})
        expect("in both", bug, NEWER, {NEWER: False})
    if not fixed or not both:
        wrong.append("a version of which nothing was fixed, or all: the sweep is too small")
    if len(both) != difference["in_both"]:
        wrong.append(f"`in_both` is {difference['in_both']}")
    if wrong:
        raise SystemExit("\n".join(wrong))


if __name__ == "__main__":
    main()
