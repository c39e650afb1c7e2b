# syntax=docker/dockerfile:1
# benchgate for CI systems that run jobs in images. From the repository's root:
#
#   docker build --file docker/benchgate.Dockerfile --tag benchgate .
#   docker run --rm --volume "$PWD:/work" --user "$(id -u):$(id -g)" benchgate compare before.json after.json
#
# What measures needs the tools of the project, so a job's image is usually the project's own, with benchgate taken from this one:
#
#   COPY --from=benchgate /usr/local/bin/benchgate /usr/local/bin/

ARG BUILD_BASE=rust:1-bookworm
ARG BASE=debian:bookworm-slim

FROM ${BUILD_BASE} AS build
WORKDIR /source
COPY . .
ARG PROFILE=dist
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    CARGO_TARGET_DIR=/source/target cargo install --locked --path bins/benchgate --profile "$PROFILE" --root /out

FROM ${BASE}
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="benchgate" \
      org.opencontainers.image.description="Fails the build when a change makes it slower, on machines that are noisy themselves" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates git \
    && rm -rf /var/lib/apt/lists/* \
    && git config --system --add safe.directory '*' \
    && useradd --uid 10001 --create-home --shell /usr/sbin/nologin benchgate \
    && install --directory --owner=benchgate --group=benchgate /work
COPY --from=build /out/bin/benchgate /usr/local/bin/benchgate
USER 10001
WORKDIR /work
# A command that ends has no health beyond its exit code.
HEALTHCHECK NONE
ENTRYPOINT ["benchgate"]
CMD ["--help"]
