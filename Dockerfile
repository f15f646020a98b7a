# The feed in a container: non-root, nothing to compile with, works on a read-only file system.
#
#   docker build -t arbees-feed .
#   docker run --rm -e ARBEES_REDIS__URL=redis://HOST:6379/0 arbees-feed

# -- build: only what it leaves in /opt/feed goes on -----------------------------------------------
FROM python:3.13-slim AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore

WORKDIR /src

# A compiler for the feed's own part in C, which it can do without: a machine that cannot reach the
# packages of its distribution builds a feed that is slower and otherwise the same (and goes on
# doing so: `docker build --no-cache` tries again; `arbees-feed check` says which it is).
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends gcc libc6-dev \
 || echo "no compiler: the feed will be all in Python"

# Dependencies first: this layer stays until the lock changes. Wheels only, each with the hash that
# the lock names; none is compiled, and nothing is resolved anew.
COPY requirements.lock requirements-build.lock ./
RUN python -m venv --without-pip /opt/feed \
 && python -m pip --python /opt/feed/bin/python install \
      --require-hashes --no-deps --only-binary :all: -r requirements.lock \
 && python -m venv /opt/build \
 && /opt/build/bin/python -m pip install \
      --require-hashes --no-deps --only-binary :all: -r requirements-build.lock

COPY pyproject.toml README.md LICENSE ./
COPY arbees_feed arbees_feed
RUN /opt/build/bin/python -m pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && python -m pip --python /opt/feed/bin/python install --no-deps --no-index /wheels/*.whl

# -- the image -------------------------------------------------------------------------------------
FROM python:3.13-slim

# The number is fixed, so that a secret file can be given to it: chown 10001 FILE. Another user may
# run it (FEED_USER), so both folders are open; a new volume takes owner and mode of its folder here.
RUN groupadd --gid 10001 feed \
 && useradd --uid 10001 --gid 10001 --create-home --home-dir /home/feed --shell /usr/sbin/nologin feed \
 && chmod 755 /home/feed \
 && install --directory --owner feed --group feed --mode 777 /home/feed/incidents \
 && python -m pip uninstall --yes --quiet --root-user-action=ignore pip

COPY --from=build /opt/feed /opt/feed

# Bytecode was made at the build; the file system may be read-only.
ENV PATH=/opt/feed/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

USER 10001:10001
WORKDIR /home/feed

# Health, metrics and status page (http.host and http.port).
EXPOSE 9464

# Not "does the process live" but "can its prices be relied on": /readyz is 200 only while every
# venue that is on has live prices and Redis takes them.
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-m", "arbees_feed.ops.probe"]

# The daemon marks every price stale, writes what waits and exits 0; see stop_grace_period in
# docker-compose.yml, which must be longer than publish.drain_timeout_s.
STOPSIGNAL SIGTERM

ENTRYPOINT ["arbees-feed"]
CMD ["run"]
