# syntax=docker/dockerfile:1
# snippex on ARM64 with what Debian 13 has of x86-64 emulators: box64 and qemu-user. From the repository's root:
#
#   docker build --platform linux/arm64 --file docker/snippex-arm64.Dockerfile --tag snippex-arm64 .
#   docker run --rm --volume "$PWD:/work" snippex-arm64 engines list
#
# The target `ssh` adds an SSH server, for a snippex on an x86-64 machine that drives these engines. FEX-Emu is not in Debian:
# with --build-arg BASE=ubuntu:24.04 --build-arg FEX=1 it is taken from its developers' archive (box64 is not in that Ubuntu).

ARG BUILD_BASE=rust:1-trixie
ARG BASE=debian:trixie-slim

FROM ${BUILD_BASE} AS build
WORKDIR /source
COPY . .
ARG PROFILE=dist
# The runner within snippex is an x86-64 program, which the compiler makes on every machine.
RUN rustup target add x86_64-unknown-linux-gnu
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    CARGO_TARGET_DIR=/source/target cargo install --locked --path bins/snippex --profile "$PROFILE" --root /out

FROM ${BASE} AS engines
ARG VERSION=0.1.0
ARG FEX=0
LABEL org.opencontainers.image.title="snippex-arm64" \
      org.opencontainers.image.description="snippex with emulators of x86-64 for ARM64" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates qemu-user \
    && if [ "$FEX" = 1 ]; then \
           apt-get install --yes --no-install-recommends software-properties-common \
           && add-apt-repository --yes ppa:fex-emu/fex \
           && apt-get install --yes --no-install-recommends fex-emu-armv8.2; \
       else \
           apt-get install --yes --no-install-recommends box64; \
       fi \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home --shell /bin/sh snippex \
    && install --directory --owner=snippex --group=snippex /work
COPY --from=build /out/bin/snippex /usr/local/bin/snippex
ENV XDG_DATA_HOME=/work/.snippex
WORKDIR /work
HEALTHCHECK NONE

# Engines behind SSH: `docker build --target ssh`. The key that may enter is mounted at /run/secrets/authorized_keys.
FROM engines AS ssh
RUN apt-get update \
    && apt-get install --yes --no-install-recommends openssh-server \
    && rm -rf /var/lib/apt/lists/* /etc/ssh/ssh_host_* \
    && install --directory --owner=snippex --group=snippex --mode=700 /home/snippex/ssh \
    && install --directory --owner=snippex --group=snippex /agent
COPY docker/sshd_config /etc/ssh/sshd_config
COPY docker/start_sshd.sh /usr/local/bin/start-sshd
USER 10001
EXPOSE 2222
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["ssh-keyscan", "-p", "2222", "127.0.0.1"]
ENTRYPOINT ["/usr/local/bin/start-sshd"]

FROM engines
USER 10001
ENTRYPOINT ["snippex"]
CMD ["--help"]
