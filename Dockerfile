# One image for every role: `claimd gateway`, `claimd console`, or `claimd up` for everything on one machine.
FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY claimd claimd
COPY lua lua
RUN python -m venv /opt/claimd \
    && /opt/claimd/bin/pip install --no-cache-dir --constraint constraints.txt .

FROM python:3.11-slim
# A new named volume takes owner and mode of the image's directory at its path. Group 0 may write there, too: OpenShift
# runs images as an arbitrary user id that is not in passwd, but always in group 0.
RUN useradd --system --uid 10001 --gid 0 --no-create-home --home-dir /var/lib/claimd claimd \
    && mkdir -p /var/lib/claimd/data \
    && chown -R 10001:0 /var/lib/claimd \
    && chmod 775 /var/lib/claimd \
    && chmod 770 /var/lib/claimd/data
COPY --from=build /opt/claimd /opt/claimd
USER 10001
WORKDIR /var/lib/claimd
ENV PATH=/opt/claimd/bin:$PATH \
    HOME=/var/lib/claimd \
    PYTHONUNBUFFERED=1 \
    CLAIMD_DATA_DIR=/var/lib/claimd/data \
    CLAIMD_HOST=0.0.0.0 \
    CLAIMD_CONSOLE_HOST=0.0.0.0
VOLUME /var/lib/claimd/data
EXPOSE 8080 8081
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s CMD ["python", "-m", "claimd.healthcheck"]
ENTRYPOINT ["claimd"]
CMD ["up"]
