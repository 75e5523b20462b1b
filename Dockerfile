FROM rust:1-bookworm AS build
WORKDIR /build
COPY . .
RUN cargo build --profile dist --locked && mkdir /data

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /build/target/dist/tokenward /usr/local/bin/tokenward
COPY --from=build --chown=nonroot:nonroot /data /data
VOLUME /data
EXPOSE 7117
ENTRYPOINT ["/usr/local/bin/tokenward"]
# Loopback, which inside a container reaches nobody. Calls are not encrypted unless there is a certificate, so
# listening wider is for whoever runs it to say: serve --store sqlite:/data/tokenward.db --listen 0.0.0.0:7117 --insecure
CMD ["serve", "--store", "sqlite:/data/tokenward.db"]
