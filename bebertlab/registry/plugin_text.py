"""The text of a plugin: its file and the user's modules that it imports, wherever they are.

What a plugin imports is read from its text, including import statements inside functions, and from the modules that
loading it added. Installed code (the standard library, site-packages) is left out. Imports of computed names are
detected only if they happen while the plugin is loaded; data files that a plugin reads are not detected.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import re
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path

from attrs import define, field, frozen

import bebertlab
from bebertlab.errors import UserError

_INIT = "__init__.py"
#: packages whose versions are in every key
_IN_KEYS = frozenset({"bebertlab", "torch", "numpy", "tokenizers", "transformers"})
#: strings that may be the path of a Python file
_PYTHON_FILE = re.compile(r"[\w .~/\\-]{1,200}\.py")
#: strings that may be the path of a folder with Python files
_FOLDER = re.compile(r"[\w ./\\-]{1,200}")
#: functions whose first argument names a module
_IMPORTING = frozenset({"import_module", "__import__"})


@frozen(kw_only=True)
class PluginFile:
    """A file of a plugin."""

    name: str  #: POSIX path relative to `plugin_root`; a copy of the file there gives the same module
    path: Path
    content: bytes = field(repr=False)
    module: str | None = None  #: full name; None for the plugin's own file, and for code that it runs by its path


@frozen(kw_only=True)
class PluginText:
    """The files that a plugin is made of, as they were read."""

    files: tuple[PluginFile, ...]  #: that of the plugin first
    packages: Mapping[str, str] = field(factory=dict)  #: installed plugins that it imports, to the sha256 of their text

    @property
    def fingerprint(self) -> str:
        """The sha256 of all files and of the installed plugins that they import; the plugin's name does not matter."""
        main = hashlib.sha256(self.files[0].content).hexdigest()
        return hashlib.sha256("\n".join([main, *self.digests[1:]]).encode()).hexdigest()

    @property
    def digests(self) -> list[str]:
        """The name and the sha256 of every file, in the order of the files, and of every imported plugin."""
        files = [f"{file.name} {hashlib.sha256(file.content).hexdigest()}" for file in self.files]
        return [*files[:1], *sorted(files[1:]), *sorted(f"{name} {digest}" for name, digest in self.packages.items())]


def read_plugin(main: Path, loaded: Iterable[str] = ()) -> PluginText:
    """The text of a one-file plugin; `loaded` are names of modules that loading it imported.

    Raises:
        UserError: a module that it imports is next to it, but Python would import another one of that name.
    """
    scan = _Scan(root=plugin_root(main), main=main)
    if main.name == _INIT:
        scan.take(main.parent.name, main.parent)
    else:
        scan.add(PluginFile(name=main.name, path=main, content=main.read_bytes()))
    for name in loaded:
        scan.follow(name)
    return scan.text()


def single_file(main: Path) -> PluginText:
    """The file of a plugin, without what it imports."""
    name = main.relative_to(plugin_root(main)).as_posix()
    return PluginText(files=(PluginFile(name=name, path=main, content=main.read_bytes()),))


def plugin_root(main: Path) -> Path:
    """The folder that a one-file plugin imports from: that of the file, or of the package that the file belongs to."""
    return main.parent.parent if main.name == _INIT else main.parent


def installed_text(point: importlib.metadata.EntryPoint) -> str:
    """The sha256 of the code of an installed plugin, including the other modules of its distribution."""
    files = [file for file in (point.dist.files or ()) if _is_content(file)] if point.dist else []
    # importlib_metadata, which replaces Python's own once it is imported, leaves out files that do not exist
    files = [file for file in files if Path(file.locate()).is_file()]
    tops = {point.module.partition(".")[0], *(file.parts[0].partition(".")[0] for file in files)}
    scan = _Scan(root=None, main=None, tops=frozenset(tops))
    for name in [*sorted(tops), point.module]:
        scan.follow(name)
    text = scan.text()
    # files other than Python's, such as data and compiled code, have their hash in the record of the installation
    other = [f"{file} {file.hash.value}" for file in files if file.hash and file.suffix != ".py"]
    return hashlib.sha256("\n".join([*sorted(other), *text.digests]).encode()).hexdigest()


def _is_content(file: importlib.metadata.PackagePath) -> bool:
    """Whether a file of a distribution is part of its content, not metadata of the installation."""
    top = file.parts[0]
    is_metadata = top.endswith((".dist-info", ".egg-info")) or top.startswith("__editable__")
    return top != ".." and not is_metadata and file.suffix not in (".pyc", ".pth")


def is_installed(path: Path) -> bool:
    """Whether code is installed, or part of Python or bebertlab: not the user's."""
    return any(path.is_relative_to(folder) for folder in _installed_folders())


@define
class _Scan:
    """A walk through imports."""

    root: Path | None  #: folder to search for modules, besides those that Python searches
    main: Path | None
    tops: frozenset[str] = frozenset()  #: installed packages to follow like the user's modules
    _files: dict[Path, PluginFile] = field(factory=dict)
    _packages: dict[str, str] = field(factory=dict)
    _seen: set[str] = field(factory=set)
    _plugins: frozenset[str] = field(factory=lambda: _plugin_packages())

    def text(self) -> PluginText:
        """All files found so far."""
        return PluginText(files=tuple(self._files.values()), packages=self._packages)

    def add(self, file: PluginFile) -> None:
        """Add a file and what it imports."""
        before = self._files.get(file.path)
        if before is not None:
            self._files[file.path] = before if before.module else file  # a file may be run by its path and imported
            return
        self._files[file.path] = file
        if file.path.suffix != ".py":
            return
        try:
            tree = ast.parse(file.content)
        except (SyntaxError, ValueError):  # loading it raises this again
            return
        package = (file.module or "").rpartition(".")[0] if file.path.name != _INIT else file.module or ""
        texts = _texts(tree)
        folders = self._named_folders(texts, file.path.parent)
        for name in _imports(tree, package):
            self.follow(name)
            self._run(path for folder in folders if (path := _module_in(folder, name.partition(".")[0])))
        named = (text for text in texts if _PYTHON_FILE.fullmatch(text))
        self._run((folder / text).resolve() for text in named for folder in (file.path.parent, *folders))

    def follow(self, name: str) -> None:
        """Add a module and the packages that contain it, if they are the user's."""
        if name in self._seen:
            return
        self._seen.add(name)
        module, *inner_names = name.split(".")
        path = self._top(module)
        if path is None:
            return
        self.take(module, path)
        for inner_name in inner_names:
            module, path = f"{module}.{inner_name}", _module_in(path, inner_name)
            if path is None:
                return
            self.take(module, path)

    def take(self, module: str, path: Path) -> None:
        """Add the file of a module, or all files of a package below the folder of the plugin."""
        if path.is_dir() and not (path / _INIT).is_file():
            return
        whole = path.is_dir() and (module in self.tops or (self.root is not None and path.is_relative_to(self.root)))
        file = path / _INIT if path.is_dir() else path
        self.add(PluginFile(name=self._name(file, module), path=file, content=file.read_bytes(), module=module))
        for inner in _sources(path) if whole else ():
            names = inner.relative_to(path).with_suffix("").parts
            inner_module = ".".join([module, *names]).removesuffix(".__init__")
            name = self._name(inner, inner_module)
            self.add(PluginFile(name=name, path=inner, content=inner.read_bytes(), module=inner_module))

    def _name(self, path: Path, module: str | None) -> str:
        """Where below the folder of the plugin a copy of a file must be for Python to find its module."""
        if module is None or (self.root is not None and path.is_relative_to(self.root)):
            return path.relative_to(self.root or path.parent).as_posix()
        names = module.split(".")
        return "/".join([*(names if path.name == _INIT else names[:-1]), path.name])

    def _top(self, name: str) -> Path | None:
        """The file or folder of a top-level module of the user; None if it is another's, or not found."""
        if name in sys.stdlib_module_names or name in _IN_KEYS:
            return None
        local = _module_in(self.root, name) if self.root else None
        other = _python_finds(name)
        if name in self._plugins and name not in self.tops:
            if other is not None:
                self._packages[name] = _digest(other)
            return None
        if other is None:
            return local
        local = local if local != self.main else None
        installed = is_installed(other)
        if local is not None and (not installed or (_is_module(local) and not _is_module(other))):
            return local
        if local is not None and _is_module(local):
            raise UserError(f"it imports '{name}', which is {local} and {other}; rename the file next to the plugin")
        return None if installed and name not in self.tops else other

    def _run(self, paths: Iterable[Path]) -> None:
        """Add files below the plugin's folder that are run by their path; of a package, all its files."""
        for path in paths:
            if self.root and path.is_relative_to(self.root):
                for file in _sources(path) if path.is_dir() else (path,):
                    if file.is_file():
                        self.add(PluginFile(name=self._name(file, None), path=file, content=file.read_bytes()))

    def _named_folders(self, texts: Iterable[str], folder: Path) -> list[Path]:
        """Folders below the plugin's that its text names: they may be added to `sys.path`, or be part of a path."""
        paths = ((folder / text).resolve() for text in texts if _FOLDER.fullmatch(text))
        inside = (path for path in paths if self.root and path.is_relative_to(self.root) and path.is_dir())
        return [path for path in dict.fromkeys(inside) if path not in (folder.resolve(), self.root)]


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Full names of what a module of `package` imports, including imports inside functions."""
    renamed = (alias for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names)
    importing = _IMPORTING | {alias.asname for alias in renamed if alias.name in _IMPORTING and alias.asname}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names if base and alias.name != "*")
        elif isinstance(node, ast.Call):
            function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
            first = (*node.args[:1], *(keyword.value for keyword in node.keywords if keyword.arg == "name"))
            for name in _texts(*first) if function in importing else ():
                if name and not name.startswith("."):
                    yield name


def _texts(*trees: ast.AST) -> list[str]:
    """The strings in a program."""
    nodes = (node for tree in trees for node in ast.walk(tree))
    return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def _module_in(folder: Path, name: str) -> Path | None:
    """The file or folder of a module in a folder; None if there is none, or a folder without modules."""
    if not name.isidentifier() or not folder.is_dir():
        return None
    package, file = folder / name, folder / f"{name}.py"
    if (package / _INIT).is_file() or not file.is_file():
        return package if package.is_dir() and next(_sources(package), None) else _extension(folder, name)
    return file


def _is_module(path: Path) -> bool:
    """Whether it is more than a folder with modules."""
    return path.is_file() or (path / _INIT).is_file()


def _extension(folder: Path, name: str) -> Path | None:
    return next((path for path in sorted(folder.glob(f"{name}.*")) if path.suffix in (".so", ".pyd")), None)


def _python_finds(name: str) -> Path | None:
    """The file or folder where Python itself finds a top-level module, imported or not."""
    spec = getattr(sys.modules.get(name), "__spec__", None)
    if spec is None or isinstance(spec.loader_state, PluginFile):
        spec = _spec(name)
    if spec is None:
        return None
    if spec.submodule_search_locations:
        folders = [Path(location).resolve() for location in spec.submodule_search_locations]
        return next((folder for folder in folders if folder.is_dir()), None)
    path = Path(spec.origin).resolve() if spec.has_location and spec.origin else None
    return path if path is not None and path.is_file() else None


def _spec(name: str) -> ModuleSpec | None:
    """The specification of the first finder that knows the module; the finder of plugins comes last."""
    for finder in sorted(sys.meta_path, key=lambda finder: getattr(finder, "of_plugins", False)):
        spec = finder.find_spec(name, None) if hasattr(finder, "find_spec") else None
        if spec is not None:
            return spec
    return None


def _sources(folder: Path) -> Iterator[Path]:
    """Every Python file below a folder."""
    yield from (path for path in sorted(folder.rglob("*.py")) if path.is_file())


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    for file in _sources(path) if path.is_dir() else (path,):
        digest.update(f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _plugin_packages() -> frozenset[str]:
    """Top-level names of the installed plugins."""
    points = importlib.metadata.entry_points(group="bebertlab")
    return frozenset(point.module.partition(".")[0] for point in points)


@cache
def _installed_folders() -> tuple[Path, ...]:
    python = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    folders = [*python, *site.getsitepackages(), site.getusersitepackages(), str(Path(bebertlab.__file__).parent)]
    return tuple(dict.fromkeys(Path(folder).resolve() for folder in folders if folder))
