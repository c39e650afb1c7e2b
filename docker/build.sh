#!/bin/sh
# build.sh [NAME...]: builds images for this machine's architecture and loads them into its Docker. Without names: all that run here.
set -eu
cd "$(dirname "$0")/.."
case $(uname -m) in
    x86_64) platform=linux/amd64 all='snippex regressd benchgate' ;;
    aarch64) platform=linux/arm64 all='snippex-arm64 regressd benchgate' ;;
    *) echo "error: there are no images for $(uname -m)" >&2; exit 1 ;;
esac
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml)
[ $# -gt 0 ] || eval "set -- $all"
for name; do
    [ -f "docker/$name.Dockerfile" ] || { echo "error: there is no docker/$name.Dockerfile" >&2; exit 1; }
    docker buildx build --platform "$platform" --load --build-arg VERSION="$version" \
        --file "docker/$name.Dockerfile" --tag "$name:$version" --tag "$name:latest" .
done
