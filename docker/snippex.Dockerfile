# syntax=docker/dockerfile:1
# snippex on x86-64 with qemu-user and valgrind beside it. From the repository's root:
#
#   docker build --file docker/snippex.Dockerfile --tag snippex .
#   docker run --rm --volume "$PWD:/work" --user "$(id -u):$(id -g)" snippex check /bin/bash --emulator qemu-x86_64
#
# Native execution needs an x86-64 host. No privileges and no devices are needed.

ARG BUILD_BASE=rust:1-bookworm
ARG BASE=debian:bookworm-slim

FROM ${BUILD_BASE} AS build
WORKDIR /source
COPY . .
ARG PROFILE=dist
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    CARGO_TARGET_DIR=/source/target cargo install --locked --path bins/snippex --profile "$PROFILE" --root /out

FROM ${BASE}
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="snippex" \
      org.opencontainers.image.description="Finds the pieces of real programs that an x86-64 emulator computes wrongly" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
RUN apt-get update \
    && apt-get install --yes --no-install-recommends binutils ca-certificates nasm openssh-client qemu-user valgrind \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home --shell /usr/sbin/nologin snippex \
    && install --directory --owner=snippex --group=snippex /work
COPY --from=build /out/bin/snippex /usr/local/bin/snippex
USER 10001
# The database lies in the mounted folder, so that it outlives the container; whoever is named by --user may write there.
ENV XDG_DATA_HOME=/work/.snippex
WORKDIR /work
# A command that ends has no health beyond its exit code.
HEALTHCHECK NONE
ENTRYPOINT ["snippex"]
CMD ["--help"]
