"""A module imports only from its own layer or a lower one; the runtime needs no torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import steadyface

PACKAGE = Path(steadyface.__file__).parent
LAYERS = (
    ("_version", "errors", "geometry", "markup", "heatmap", "metrics", "measures", "stabilizer", "nets"),
    ("files", "images", "pts", "video", "models", "landmarker", "detector", "checkpoint"),
    ("tracks", "html"),
    (
        *("tracking", "pipeline", "clips", "drawing", "report", "demo", "datasets", "synthetic", "labels"),
        *("training", "fitting", "evaluation", "export", "corpus"),
    ),
    ("live",),
    ("cli", "__init__", "__main__"),
)
RANK = {module: rank for rank, layer in enumerate(LAYERS) for module in layer}


def imports(path: Path) -> set[str]:
    """The steadyface modules that a file imports, by their first name below the package."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "steadyface":
            parts = (node.module or "").split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            found |= {name[1] for name in names if name[0] == "steadyface" and len(name) > 1}
    return found & set(RANK)


def test_every_module_has_a_layer() -> None:
    modules = {
        path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert modules == set(RANK)


def test_imports_go_downward_only() -> None:
    for path in PACKAGE.rglob("*.py"):
        own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        for other in imports(path):
            assert RANK[other] <= RANK[own], f"{path.name} ({own}) imports {other}"


def test_pure_modules_touch_no_files() -> None:
    allowed = {"stabilizer"}  # its parameters save and load themselves
    for module in LAYERS[0]:
        for path in [PACKAGE / f"{module}.py", *(PACKAGE / module).glob("*.py")]:
            if path.exists() and module not in allowed:
                calls = {n.func.id for n in ast.walk(ast.parse(path.read_text())) if _is_plain_call(n)}
                assert "open" not in calls, path


def test_runtime_does_not_import_torch() -> None:
    code = (
        "import numpy as np, sys, steadyface, steadyface.cli, steadyface.clips, steadyface.demo\n"
        "steadyface.Tracker().step(np.zeros((64, 64, 3), np.uint8))\n"
        "optional = {'torch', 'onnx', 'matplotlib', 'pyarrow', 'pandas', 'fastapi', 'ray', 'fsspec'}\n"
        "assert not optional & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def _is_plain_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
