# The broker, with a Redis of your own (BROKER_REDIS_URL) or with its embedded store in /data.
FROM python:3.11-slim

ENV BROKER_HOST=0.0.0.0 \
    BROKER_PORT=3010 \
    BROKER_DATA_DIR=/data

RUN useradd --uid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin broker \
    && install --directory --owner broker --group broker --mode 700 /data

# The embedded store is a quarter faster with jemalloc.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libjemalloc2 \
    && rm -rf /var/lib/apt/lists/*

# The sources are mounted, not copied: the image has only installed packages, with the hashes of the lock file.
RUN --mount=type=bind,target=/src \
    pip install --no-cache-dir --only-binary :all: --require-hashes --requirement /src/requirements.lock \
    && pip install --no-cache-dir --no-deps --no-build-isolation "/src[server]"

# A number, so that an orchestrator can see that it is not root.
USER 10001:10001
WORKDIR /data
EXPOSE 3010

HEALTHCHECK --interval=10s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['BROKER_PORT']), timeout=3); c.request('GET', '/healthz'); sys.exit(c.getresponse().status != 200)"]

# Without a shell, so that process 1 is the broker itself and gets SIGTERM.
CMD ["broker", "serve"]
