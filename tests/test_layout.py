"""The architecture, as rules that fail when they are broken."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from click.testing import CliRunner

from bebertlab.cli.main import main
from bebertlab.config.codec import OptionsCodec
from bebertlab.pipeline.read import read_recipe, recipe_of
from bebertlab.registry.manager import load_plugins

ROOT = Path(__file__).parents[1]
MODULES = {
    ".".join(path.relative_to(base).with_suffix("").parts).removesuffix(".__init__"): path
    for base, pattern in ((ROOT, "bebertlab/**/*.py"), (ROOT / "plugins", "**/*.py"))
    for path in sorted(base.glob(pattern))
}
CORE = sorted(name for name in MODULES if name.split(".")[0] == "bebertlab")
PLUGINS = sorted(MODULES.keys() - set(CORE))

RANKS = {
    "": 0,
    "errors": 0,
    "redact": 0,
    "text_input": 1,
    "processors": 0,
    "interfaces": 1,
    "locations": 1,
    "files": 1,
    "formats": 1,
    "kernels": 2,
    "network": 2,
    "ranking": 2,
    "model": 2,
    "accounting": 3,
    "data": 3,
    "inference": 4,
    "packed": 5,
    "training": 5,
    "artifacts": 6,
    "registry": 6,
    "api": 8,
    "config": 8,
    "store": 8,
    "testing": 10,
    "hub": 9,
    "pipeline": 9,
    "study": 10,
    "tracking": 10,
    "report": 10,
    "bench": 10,
    "classifier": 10,
    "cli": 11,
    "__main__": 12,
}
#: heavy packages, and the start of the paths that may import them, inside functions
DOORS = {
    "ray": ("bebertlab/study/executors/ray",),
    "optuna": ("bebertlab/study/", "plugins/bebertlab_samplers/"),
    "mlflow": ("bebertlab/tracking/mlflow",),
    "transformers": (
        "bebertlab/model/",
        "bebertlab/data/tokenizer",
        "plugins/bebertlab_encoders/",
        "bebertlab/bench/huggingface",
        "bebertlab/hub/",
    ),
    "datasets": ("plugins/bebertlab_glue",),
    "pyarrow": ("plugins/bebertlab_glue", "bebertlab/text_input/parquet"),
    "sklearn": ("bebertlab/data/metrics",),
    "scipy": ("bebertlab/data/metrics", "bebertlab/report/", "plugins/bebertlab_samplers/"),
    "statsmodels": ("bebertlab/report/statistics",),
    "matplotlib": ("bebertlab/report/plots",),
    "pandas": (),
    "llvmlite": ("bebertlab/kernels/",),
    "onnxruntime": ("bebertlab/bench/exported",),
    "openvino": ("bebertlab/bench/exported",),
    "nncf": ("bebertlab/bench/exported",),
}
#: files that may import theirs at the top, and so are imported inside functions only; and why
EARLY = {
    "bebertlab.study.executors.ray": "Ray pickles the searcher by its name, so it must be a class of the module",
    "bebertlab.hub.model": "its classes derive from those of transformers",
}
#: files with code and no test file, with the reason
UNTESTED = {"bebertlab/__main__.py": "one call; tests/cli/test_main.py runs it"}


def imports(path: Path, *, typing: bool = True, local: bool = True) -> Iterator[str]:
    """Full names of what a file imports; without those for type checkers and those inside functions, if requested."""
    stack: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else str(node.module) for name in whole)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not local:
            continue
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not typing:
            stack += node.orelse
            continue
        stack += ast.iter_child_nodes(node)


def unit(module: str) -> str:
    """The file or folder below `bebertlab` that a module belongs to."""
    return [*module.split("."), ""][1]


def has_code(path: Path) -> bool:
    """Whether a file has a function with a body; declarations alone need no tests."""
    functions = (n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.FunctionDef))
    return any(not isinstance(function.body[-1], (ast.Expr, ast.Pass)) for function in functions)


@pytest.mark.parametrize("module", CORE)
def test_imports_point_to_lower_ranks(module: str) -> None:
    # bebertlab/__init__.py names the classifier for type checkers only; it is imported when it is used
    used = imports(MODULES[module], typing=module != "bebertlab")
    ours = {unit(name) for name in used if name.split(".")[0] == "bebertlab"}
    here = unit(module)
    upward = {name for name in ours - {here} if RANKS[name] >= RANKS[here]}
    assert not upward, f"{module} must not import {upward}"


def test_there_are_no_import_cycles() -> None:
    graph = {name: set(imports(path, typing=False, local=False)) - {name} for name, path in MODULES.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("module", PLUGINS)
def test_plugins_import_the_api_and_themselves_only(module: str) -> None:
    ours = {name for name in imports(MODULES[module]) if name.startswith("bebertlab")}
    foreign = {name for name in ours if name.split(".")[0] != module.split(".")[0]}
    wrong = {name for name in foreign if name != "bebertlab.api" and not name.startswith("bebertlab.api.")}
    assert not wrong, f"{module} must import {wrong} from bebertlab.api"


@pytest.mark.parametrize("module", CORE)
def test_the_core_imports_no_plugin(module: str) -> None:
    assert not {name for name in imports(MODULES[module]) if name in PLUGINS}


@pytest.mark.parametrize("module", sorted(MODULES))
def test_heavy_packages_are_imported_where_allowed(module: str) -> None:
    path = MODULES[module]
    position = path.relative_to(ROOT).as_posix()
    used = {name.split(".")[0] for name in imports(path, typing=False)} & DOORS.keys()
    wrong = {name for name in used if not position.startswith(DOORS[name] or ("nowhere",))}
    assert not wrong, f"{position} must not import {wrong}"
    top = set(imports(path, typing=False, local=False))
    early = ({name.split(".")[0] for name in top} & DOORS.keys() if module not in EARLY else set()) | (
        top & EARLY.keys()
    )
    assert not early, f"{position} must import {early} inside the functions that need it"


def test_annotations_are_taken_apart_by_the_schema_alone() -> None:
    users = [name for name in MODULES if "get_origin(" in MODULES[name].read_text(encoding="utf-8")]
    assert users == ["bebertlab.config.schema"]


def test_files_are_short() -> None:
    files = [*MODULES.values(), *(ROOT / "tests").rglob("*.py")]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert not {path: length for path, length in lengths.items() if length > 400}


def test_tests_mirror_the_source() -> None:
    expected = {}
    for path in MODULES.values():
        position = path.relative_to(ROOT)
        if path.name != "__init__.py" and position.as_posix() not in UNTESTED and has_code(path):
            inner = position if position.parts[0] == "plugins" else position.relative_to("bebertlab")
            expected[position.as_posix()] = ROOT / "tests" / inner.with_name(f"test_{position.name}")
    assert not [position for position, test in expected.items() if not test.is_file()]


def test_every_plugin_has_its_entry_point() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = set(project["entry-points"]["bebertlab"].values())
    shipped = {path.stem for path in (ROOT / "plugins").iterdir() if path.stem.startswith("bebertlab_")}
    assert declared == shipped


@pytest.mark.parametrize("path", sorted((ROOT / "studies/recipes").glob("*.yaml")), ids=lambda path: path.name)
def test_every_shipped_recipe_loads(path: Path) -> None:
    recipe_of(read_recipe(path), OptionsCodec(load_plugins().registry))


@pytest.mark.parametrize("path", sorted((ROOT / "studies").glob("*.yaml")), ids=lambda path: path.name)
def test_every_shipped_study_is_valid(path: Path) -> None:
    result = CliRunner().invoke(main, ["study", "validate", str(path)])
    assert result.exit_code == 0, result.stderr
