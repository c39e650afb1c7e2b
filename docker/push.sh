#!/bin/sh
# push.sh REGISTRY/PREFIX VERSION: builds all images for the architectures they are for, with SBOM and provenance, and pushes them as
# PREFIX/NAME:VERSION; of a version that is no pre-release also as PREFIX/NAME:latest. Sign in before: docker login REGISTRY.
set -eu
[ $# = 2 ] || { sed -n '2,3s/^# //p' "$0" >&2; exit 2; }
prefix=$1 version=$2
cd "$(dirname "$0")/.."
case $version in
    *[!0-9A-Za-z.+-]*) echo "error: $version is no version" >&2; exit 2 ;;
esac
docker buildx inspect did-it-change >/dev/null 2>&1 || docker buildx create --name did-it-change --driver docker-container >/dev/null
push() {
    name=$1 platforms=$2
    set -- --tag "$prefix/$name:$version"
    case $version in
        *-*) ;;
        *) set -- "$@" --tag "$prefix/$name:latest" ;;
    esac
    docker buildx build --builder did-it-change --platform "$platforms" --push --sbom=true --provenance=mode=max \
        --build-arg VERSION="$version" --label "org.opencontainers.image.revision=$(git rev-parse HEAD)" \
        --file "docker/$name.Dockerfile" "$@" .
}
# snippex compares with the processor, so each architecture has an image of its own kind.
push snippex linux/amd64
push snippex-arm64 linux/arm64
push regressd linux/amd64,linux/arm64
push benchgate linux/amd64,linux/arm64
