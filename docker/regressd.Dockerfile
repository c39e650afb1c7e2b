# syntax=docker/dockerfile:1
# The service. From the repository's root:
#
#   docker build --file docker/regressd.Dockerfile --tag regressd .
#   docker run --detach --publish 8780:8780 --volume regressd:/var/lib/regressd regressd

ARG BUILD_BASE=rust:1-bookworm
ARG BASE=debian:bookworm-slim

FROM ${BUILD_BASE} AS build
WORKDIR /source
COPY . .
ARG PROFILE=dist
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    CARGO_TARGET_DIR=/source/target cargo install --locked --path bins/regressd --profile "$PROFILE" --root /out

FROM ${BASE}
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="regressd" \
      org.opencontainers.image.description="The service that judges the benchmarks of every pull request" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --system --home-dir /var/lib/regressd --shell /usr/sbin/nologin regressd \
    && install --directory --owner=regressd --mode=750 /var/lib/regressd
COPY --from=build /out/bin/regressd /usr/local/bin/regressd
USER 10001
WORKDIR /var/lib/regressd
VOLUME /var/lib/regressd
# Metrics are for the network of the containers; only 8780 is to be published.
ENV REGRESSD_SERVER_LISTEN=0.0.0.0:8780 \
    REGRESSD_SERVER_METRICS_LISTEN=0.0.0.0:9780 \
    REGRESSD_LOGGING_FORMAT=json
EXPOSE 8780 9780
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s \
    CMD ["curl", "--fail", "--silent", "--show-error", "--output", "/dev/null", "http://127.0.0.1:8780/health"]
ENTRYPOINT ["regressd"]
CMD ["serve"]
