"""A module imports only from its own layer or a lower one; the pure layer touches no files."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import steadyface

PACKAGE = Path(steadyface.__file__).parent
LAYERS = (
    (
        *("_version", "wording", "errors", "arguments", "arrays", "shapes", "geometry", "markup", "heatmap"),
        *(
            "image_parts",
            "image_size",
            "camera",
            "metrics",
            "detection_curve",
            "measures",
            "stabilizer",
            "motion",
            "nets",
        ),
    ),
    (
        *("files", "quiet", "images", "picture", "interrupts", "progress", "pts", "scratch"),
        *("video", "devices", "models", "landmarker", "detector", "identity", "checkpoint", "calibration"),
        *("stabilizer.__init__", "stabilizer.choice", "stabilizer.storage", "nets.imagenet"),
    ),
    ("tracks", "html"),
    (
        *(
            "tracking",
            "frontal",
            "correction",
            "options",
            "pipeline",
            "replay",
            "stills",
            "clips",
            "drawing",
            "report",
            "demo",
            "datasets",
            "synthetic",
            "labels",
        ),
        *("training", "fitting", "evaluation", "export", "corpus"),
    ),
    ("live", "editor"),
    ("cli", "__init__", "__main__"),
)
"""A package stands for its modules, except for those that are listed themselves."""

RANK = {module: rank for rank, layer in enumerate(LAYERS) for module in layer}

FILE_CALLS = frozenset(
    {
        *("open", "fdopen", "read_text", "write_text", "read_bytes", "write_bytes", "fromfile", "tofile"),
        *("load", "save", "savez", "savez_compressed", "loadtxt", "savetxt", "genfromtxt", "memmap", "dump"),
        *("mkdir", "makedirs", "touch", "unlink", "rmdir", "rename", "glob", "rglob", "iterdir", "listdir"),
        *("imread", "imwrite", "load_file", "save_file", "safe_open"),
    }
)
FILE_MODULES = frozenset({"pathlib", "shutil", "tempfile", "glob", "importlib", "csv", "zipfile"})


def dotted(path: Path) -> str:
    """Name of a module below the package; that of a package's own file ends in __init__."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


MODULES = {dotted(path): path for path in PACKAGE.rglob("*.py")}


def rank(module: str) -> int:
    return RANK[module] if module in RANK else RANK[module.split(".")[0]]


def imports(tree: ast.AST) -> set[str]:
    """The modules below the package that a module imports anywhere in it."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "steadyface":
            base = (node.module or "").split(".")[1:]
            found |= {_module([*base, alias.name]) for alias in node.names}
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            found |= {_module(name[1:]) for name in names if name[0] == "steadyface"}
    return found


def _module(parts: list[str]) -> str:
    """The module that an import of these parts reads; the last part may be a name inside it."""
    for end in (parts, parts[:-1]):
        for name in (".".join(end), ".".join([*end, "__init__"])):
            if name in MODULES:
                return name
    raise AssertionError(f"no module steadyface.{'.'.join(parts)}")


def file_access(tree: ast.AST) -> Iterator[str]:
    """The calls and imports of a module that reach for files."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in FILE_CALLS:
                yield f"line {node.lineno}: {name}()"
        elif isinstance(node, ast.Import | ast.ImportFrom):
            origin = getattr(node, "module", None)
            names = [origin] if origin else [alias.name for alias in node.names]
            yield from (f"line {node.lineno}: {name}" for name in names if name.split(".")[0] in FILE_MODULES)


def parse(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def test_every_module_has_a_layer() -> None:
    tops = {
        path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert tops == {name for name in RANK if "." not in name}
    assert {name for name in RANK if "." in name} <= set(MODULES)


def test_imports_go_downward_only() -> None:
    upward = [
        f"{module} imports {other}"
        for module in MODULES
        for other in imports(parse(module))
        if rank(other) > rank(module)
    ]
    assert not upward


def test_no_import_cycle() -> None:
    graph = {module: imports(parse(module)) - {module} for module in MODULES}
    assert len([*TopologicalSorter(graph).static_order()]) == len(MODULES)


def test_pure_modules_touch_no_files() -> None:
    reached = [
        f"{module}, {access}"
        for module in MODULES
        if rank(module) == 0
        for access in file_access(parse(module))
    ]
    assert not reached


@pytest.mark.parametrize(
    "line",
    [
        *("open('a')", "Path('a').read_text()", "path.write_bytes(b'')", "np.load('a')", "np.savez('a')"),
        *("np.save('a', x)", "json.load(file)", "torch.load('a')", "cv2.imread('a')", "data.tofile('a')"),
        *("from pathlib import Path", "import pathlib", "from importlib.resources import files"),
    ],
)
def test_file_access_is_noticed(line: str) -> None:
    assert [*file_access(ast.parse(line))]
    assert not [*file_access(ast.parse("np.loads(x); json.loads(text); state.load_state_dict(values)"))]


def test_runtime_does_not_import_torch() -> None:
    code = (
        "import numpy as np, sys, steadyface, steadyface.cli, steadyface.clips, steadyface.demo\n"
        "steadyface.Tracker().step(np.zeros((64, 64, 3), np.uint8))\n"
        "optional = {'scipy.signal', 'torch', 'onnx', 'matplotlib', 'pyarrow', 'pandas', 'starlette'}\n"
        "optional |= {'fsspec', 'ray'}\n"
        "assert not optional & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
