# Names for the chores; cargo xtask does the work. `just` lists them.

_default:
    @just --list --unsorted

# Check an emulator against this processor, on the blocks of /bin/bash
demo *ARGS:
    cargo xtask demo {{ARGS}}

# Install what the tests need and run all of them
test *ARGS:
    cargo xtask test {{ARGS}}

# Format, then lint
tidy:
    cargo fmt --all
    cargo xtask test --only clippy,docs

# Benchmark this workspace
bench *ARGS:
    cargo bench --package benches {{ARGS}}
