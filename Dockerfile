# A static binary on an empty image: nothing else can be attacked, or needs updates.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN make build && mkdir /data

FROM scratch
COPY --from=build /src/bin/dbdb /dbdb
# Owned by the user below, so that a volume mounted here can be written.
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
ENV DBDB_BIND=0.0.0.0 DBDB_DATA_DIR=/data
VOLUME /data
ENTRYPOINT ["/dbdb"]
