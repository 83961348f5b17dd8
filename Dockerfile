# Birdbath on its embedded pool.
#
#   docker build --tag birdbath .
#   docker run --publish 127.0.0.1:8080:8080 --volume birdbath:/var/lib/birdbath birdbath

FROM python:3.12-slim AS build
COPY locks/ /src/locks/
RUN python -m venv /opt/birdbath \
    && /opt/birdbath/bin/pip install --no-cache-dir --no-deps --require-hashes -r /src/locks/build.txt \
    && /opt/birdbath/bin/pip install --no-cache-dir --no-deps --require-hashes --no-build-isolation --use-pep517 \
        -r /src/locks/use.txt
# The package itself last: a change of it alone leaves the layers above as they are.
COPY pyproject.toml README.md LICENSE /src/
COPY birdbath/ /src/birdbath/
RUN /opt/birdbath/bin/pip install --no-cache-dir --no-deps --no-build-isolation --use-pep517 /src

FROM python:3.12-slim
# User and group have numbers of their own, so that a volume is theirs whatever the base image has next.
RUN groupadd --gid 10001 birdbath \
    && useradd --uid 10001 --gid birdbath --home-dir /var/lib/birdbath --no-create-home --no-log-init birdbath \
    && install --directory --owner=birdbath --group=birdbath --mode=0700 /var/lib/birdbath
COPY --from=build /opt/birdbath /opt/birdbath
# Settings rather than flags: they hold for every command, and for whatever is given in place of CMD. In a container
# the server must listen on every address; what may reach it is said by --publish. It asks nobody who they are:
# publish it on loopback, as above, or behind something that does.
ENV PATH=/opt/birdbath/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    BIRDBATH_HOME=/var/lib/birdbath \
    BIRDBATH_HOST=0.0.0.0 \
    BIRDBATH_WITHOUT_AUTHENTICATION=true
# By number, so that an orchestrator can tell that it is not root.
USER 10001
WORKDIR /var/lib/birdbath
# Everything that must outlive the container: database and spool folder.
VOLUME ["/var/lib/birdbath"]
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import http.client as h, sys; c = h.HTTPConnection('127.0.0.1', 8080, timeout=4); c.request('GET', '/'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["birdbath"]
CMD ["serve"]
