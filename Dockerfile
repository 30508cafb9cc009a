FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --locked --release --bin tessera

FROM debian:bookworm-slim
# A number, so that an orchestrator can see that it is not root, and volumes can be given to it.
RUN groupadd --gid 10001 tessera \
    && useradd --uid 10001 --gid tessera --no-create-home --home-dir /var/lib/tessera --shell /usr/sbin/nologin tessera \
    && install -d -o tessera -g tessera -m 0700 /var/lib/tessera
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/target/release/tessera /usr/local/bin/tessera
# Inside a container, 127.0.0.1 would be reachable by nobody.
ENV TESSERA__LISTEN=0.0.0.0:8080 \
    TESSERA__DATA_DIR=/var/lib/tessera
USER 10001:10001
WORKDIR /var/lib/tessera
VOLUME /var/lib/tessera
EXPOSE 8080
# The default grace at a stop is 20 seconds; give the container more than that.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 CMD ["tessera", "health"]
ENTRYPOINT ["tessera"]
CMD ["serve"]
