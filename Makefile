# make demo   install into a fresh environment, then track a generated clip of known motion
# make test   install everything, check style and types, run the tests
# make lint   style and types only
# make bench  speed stage by stage, and the decoders' noise table
# make docs   the documentation's pages: build/site/index.html
# make browser  install the package for browsers' runtime, compare the package with Python in Chromium
# make bench-peers DATA=FOLDER  dlib and MediaPipe beside steadyface, each installed where its pins allow

PYTHON ?= python3
DEV := .venv
DEMO := build/demo-venv
PEERS := build/peers-venv
MEDIAPIPE := build/mediapipe-venv
DATA ?= ../shared/data

.PHONY: demo test lint bench bench-peers browser docs clean

demo: $(DEMO)/installed
	$(DEMO)/bin/steadyface demo --out build/demo

test: lint
	$(DEV)/bin/python -m pytest --numprocesses 2 --dist loadfile

lint: $(DEV)/installed
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/mypy

docs: $(DEV)/installed
	$(DEV)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[docs]'
	$(DEV)/bin/python -m mkdocs build --strict --quiet

bench: $(DEV)/installed
	$(DEV)/bin/python benchmarks/decoders.py
	$(DEV)/bin/python benchmarks/speed.py

browser: $(DEV)/installed
	cd browser && npm install --no-package-lock --no-audit --no-fund --ignore-scripts
	$(DEV)/bin/python -m pytest tests/test_browser.py tests/test_browser_tracker.py tests/test_browser_page.py

bench-peers: $(PEERS)/installed $(MEDIAPIPE)/installed
	$(PEERS)/bin/python benchmarks/peers.py $(DATA) --mediapipe $(MEDIAPIPE)/bin/python

$(PEERS)/installed: pyproject.toml constraints.txt benchmarks/peers/requirements.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --constraint constraints.txt --editable . --requirement benchmarks/peers/requirements.txt
	touch $@

$(MEDIAPIPE)/installed: benchmarks/peers/requirements-mediapipe.txt
	$(PYTHON) -m venv $(MEDIAPIPE)
	$(MEDIAPIPE)/bin/python -m pip install --quiet --requirement $<
	touch $@

$(DEV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(DEV)
	$(DEV)/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[train,export,plots,corpus,heif,dev]'
	touch $@

# Installed as a user would, not editable: what is not in the wheel is missed here.
$(DEMO)/installed: pyproject.toml constraints.txt $(shell find src -type f -not -name '*.pyc')
	$(PYTHON) -m venv $(DEMO)
	$(DEMO)/bin/python -m pip install --quiet --constraint constraints.txt --force-reinstall --no-deps .
	$(DEMO)/bin/python -m pip install --quiet --constraint constraints.txt .
	touch $@

clean:
	rm -rf build $(DEV)
