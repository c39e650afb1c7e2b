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

# Benchmark this workspace and check it against benches/baselines.json
bench *ARGS:
    cargo run --quiet --release --package benchgate -- run
    cargo run --quiet --release --package benchgate -- check {{ARGS}}

# Benchmark the current commit against another one, interleaved
bench-ab BASE *ARGS:
    cargo run --quiet --release --package benchgate -- ab --base {{BASE}} {{ARGS}}

# Make what a release has, in target/xtask-dist
dist *ARGS:
    cargo xtask dist {{ARGS}}

# Make the documentation's site, in target/docs-site
docs *ARGS:
    cargo xtask docs {{ARGS}}

# Do what the Dockerfiles do, in new systems of Debian
docker *ARGS:
    cargo xtask docker {{ARGS}}
