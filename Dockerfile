# The images of this repository for people with Docker, buildah or podman. `make images` writes the same binaries and files as
# OCI archives without any of them, and builds the static binaries that are copied here. Only those archives have a /tmp: COPY cannot
# make a folder that everyone may write to, and neither program needs one.
#   docker build --target operator --build-context authorities=/etc/ssl/certs -t temporal-fleet-operator:dev .
#   docker build --target worker --build-context authorities=/etc/ssl/certs -t temporal-fleet-sample-worker:dev .
FROM scratch AS base
COPY e2e/rootfs/ /
COPY --from=authorities ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV PATH=/ SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
WORKDIR /
USER 65532:65532

FROM base AS worker
ARG BINARY=target/x86_64-unknown-linux-musl/image/examples/data_processing
COPY ${BINARY} /worker
ENTRYPOINT ["/worker"]

FROM base AS operator
ARG BINARY=target/x86_64-unknown-linux-musl/image/temporal-fleet-operator
COPY ${BINARY} /temporal-fleet-operator
ENTRYPOINT ["/temporal-fleet-operator"]
