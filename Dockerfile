# docker build --tag steadyface .
# docker run --rm --user "$(id -u)" --volume "$PWD:/work" steadyface                    # the demo
# docker run --rm --user "$(id -u)" --volume "$PWD:/work" steadyface track clip.mp4
FROM python:3.11-slim
COPY pyproject.toml constraints.txt README.md LICENSE MODEL_CARD.md /build/
COPY src /build/src
RUN pip install --no-cache-dir --constraint /build/constraints.txt /build && rm -r /build
WORKDIR /work
ENTRYPOINT ["steadyface"]
CMD ["demo"]
