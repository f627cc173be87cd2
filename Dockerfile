FROM python:3.12-slim AS build
COPY . /source
RUN python -m venv /opt/matinee \
    && /opt/matinee/bin/pip install --no-cache-dir -c /source/constraints.txt '/source[postgresql,kafka]'

FROM python:3.12-slim
RUN useradd --system --create-home --uid 1000 matinee && install -d -o matinee /data
COPY --from=build /opt/matinee /opt/matinee
ENV PATH=/opt/matinee/bin:$PATH
USER matinee
WORKDIR /data
EXPOSE 8000
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/health/ready', timeout=5)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["matinee"]
CMD ["serve", "--registry", "/data/registry", "--host", "0.0.0.0", "--workers", "2"]
