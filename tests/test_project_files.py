"""The files around the package say what is true of it."""

from __future__ import annotations

import fnmatch
import json
import re
from pathlib import Path

import pytest
import yaml

import steadyface

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
INSTRUCTIONS = {"FROM", "COPY", "RUN", "WORKDIR", "ENTRYPOINT", "CMD", "ENV", "USER", "ARG", "EXPOSE"}


def dockerfile() -> list[tuple[str, str]]:
    """Instruction and arguments of each line of the Dockerfile that is no comment."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines()]
    return [
        (name, arguments)
        for name, _, arguments in (line.partition(" ") for line in lines if line and line[0] != "#")
    ]


def test_dockerfile_is_well_formed_and_runs_the_demo() -> None:
    lines = dockerfile()
    assert lines[0][0] == "FROM"
    assert {name for name, _ in lines} <= INSTRUCTIONS
    run = {name: json.loads(arguments) for name, arguments in lines if name in {"ENTRYPOINT", "CMD"}}
    assert run == {"ENTRYPOINT": ["steadyface"], "CMD": ["demo"]}


def test_dockerfile_copies_what_is_there_and_sent_to_it() -> None:
    listed = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert listed[0] == "*"
    sent = [pattern.removeprefix("!") for pattern in listed[1:]]
    for name, arguments in dockerfile():
        for source in arguments.split()[:-1] if name == "COPY" else []:
            assert (ROOT / source).exists(), source
            assert any(fnmatch.fnmatch(source, pattern) for pattern in sent), source


def test_hosted_workflow_calls_make_test() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text(encoding="utf-8"))
    steps = workflow["jobs"]["test"]["steps"]
    assert "make test" in [step.get("run") for step in steps]


def test_citation_has_the_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == steadyface.__version__


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Relative links name files that exist, and anchors name headings."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        if target.startswith(("http:", "https:", "mailto:")):
            continue
        linked = page.parent / path if path else page
        assert linked.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors(linked), f"{page.name}: {target}"


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as they are made from the text."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
