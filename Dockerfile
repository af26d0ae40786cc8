# The whole image is one file: a static binary with its CA roots inside. No shell, no libc, no package manager.
# Names are resolved by the static libc itself, from /etc/resolv.conf and /etc/hosts.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN make build && cp target/*/release/portcullis /portcullis

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=""
LABEL org.opencontainers.image.title="portcullis" \
      org.opencontainers.image.description="The Auth0 gate for Kubernetes" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /portcullis /portcullis
USER 65532:65532
EXPOSE 8080 8443 9090
ENTRYPOINT ["/portcullis"]
