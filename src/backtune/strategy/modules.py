"""The modules beside a strategy's file that it imports, found by reading its code; they travel with it to the workers.

They are looked for as Python does when it runs the file: in its folder, and, where that is a package, in the package that it
belongs to. What is not there is an installed package's. A module is taken along only where an ``import`` names it, directly or
in a module that is taken along; files of other kinds stay where they are.
"""

from __future__ import annotations

import ast
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from backtune.errors import StrategyError

# Conditions that are false where a strategy's module is imported.
_FALSE_HERE = ("TYPE_CHECKING", "typing.TYPE_CHECKING", "__name__ == '__main__'")


@dataclass(frozen=True)
class StrategyModule:
    """A module that travels.

    Attributes:
        name: Dotted name, as an ``import`` in the strategy's file has it.
        source: Text of the module; empty for a folder without ``__init__.py``.
        is_package: Flag that the module is a folder.
        path: Path that it had, for messages and tracebacks.
    """

    name: str
    source: str
    is_package: bool
    path: str


def find_package(path: Path) -> str:
    """Return the dotted name of the package that a file's folder is; empty where it is none."""
    parts: list[str] = []
    folder = path.parent
    while (folder / "__init__.py").is_file() and folder.name.isidentifier():
        parts.insert(0, folder.name)
        folder = folder.parent
    return ".".join(parts)


def name_module(path: str, package: str) -> str:
    """Return the name that a strategy's file has as a module."""
    stem = Path(path).stem.replace(".", "_")
    return f"{package}.{stem}" if package else stem


def find_modules_beside(path: Path, source: str) -> tuple[StrategyModule, ...]:
    """Find the modules beside a strategy's file that it imports, in the order of their names.

    Args:
        path: Absolute path of the file.
        source: Text of the file.

    Raises:
        StrategyError: A module that is imported cannot be read.
    """
    installed = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib")}
    if path.parent in installed:
        return ()
    search = _ImportSearch(path)
    search.follow(name_module(str(path), search.package), source, is_package=False)
    return tuple(search.found[name] for name in sorted(search.found))


@dataclass
class _ImportSearch:
    """A search that follows imports from one module to the next."""

    path: Path
    found: dict[str, StrategyModule] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.package = find_package(self.path)
        self._top = self.package.partition(".")[0]
        self._own = {name_module(str(self.path), self.package), self.path.stem}

    def follow(self, name: str, source: str, *, is_package: bool) -> None:
        """Take along the modules that a module imports."""
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError):
            # Told when the module is run.
            return
        package = name if is_package else name.rpartition(".")[0]
        for wanted in _find_imports(tree, package):
            self._take_module(wanted, importer=name, importer_is_package=is_package)
            if wanted.partition(".")[0] == self._top:
                # The strategy is then imported as a part of its package, which runs that first.
                self._take_module(self.package, importer=name, importer_is_package=is_package)

    def _take_module(self, wanted: str, *, importer: str, importer_is_package: bool) -> None:
        """Take a module along, and the packages that it is in; nothing where it is not beside the file."""
        if wanted == importer and not importer_is_package:
            # A file that is called as the library that it imports.
            return
        parts = wanted.split(".")
        for n in range(1, len(parts) + 1):
            name = ".".join(parts[:n])
            if name in self.found or name in self._own:
                continue
            if parts[n - 1] == "*":
                package = self.found.get(".".join(parts[:-1]))
                if package is None:
                    return
                for listed in _list_exports(package.source):
                    self._take_module(
                        f"{package.name}.{listed}", importer=importer, importer_is_package=importer_is_package
                    )
                return
            module = self._read_module(name)
            if module is None:
                return
            self.found[name] = module
            self.follow(name, module.source, is_package=module.is_package)

    def _read_module(self, name: str) -> StrategyModule | None:
        for folder in self._find_folders(name):
            place = folder.joinpath(*name.split("."))
            for file, is_package in (
                (place / "__init__.py", True),
                (place.with_name(f"{place.name}.py"), False),
            ):
                if file.is_file():
                    return StrategyModule(name, _read_text(file), is_package=is_package, path=str(file))
            if place.is_dir() and any(place.rglob("*.py")) and not _is_installed(name):
                return StrategyModule(name, "", is_package=True, path=str(place))
        return None

    def _find_folders(self, name: str) -> Iterator[Path]:
        head = name.partition(".")[0]
        # What Python has built in goes before any file, and backtune is what runs this.
        if head == "backtune" or head in sys.builtin_module_names:
            return
        yield self.path.parent
        if head == self._top:
            yield self.path.parents[len(self.package.split("."))]


def _find_imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Yield the absolute name of every module that a module may import, those within functions too; a star as it is."""
    for node in _walk_running_code(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _resolve_import(node.module or "", node.level, package)
            if base is not None:
                # A name may be a module of a package, or something in a module.
                names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
                yield from (name.lstrip(".") for name in names if name)
        elif isinstance(node, ast.Call) and _is_import_call(node):
            (name,) = (argument.value for argument in node.args[:1] if isinstance(argument, ast.Constant))
            yield str(name)


def _walk_running_code(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk the code without the branches that never run here: imports for type checkers, and the main part of a script."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If) and ast.unparse(node.test) in _FALSE_HERE:
            waiting += reversed(node.orelse)
        else:
            waiting += reversed(list(ast.iter_child_nodes(node)))


def _resolve_import(name: str, level: int, package: str) -> str | None:
    """Return what an import means in a package; None where it leads out of the outermost one."""
    if level == 0:
        return name
    parts = package.split(".") if package else []
    if level - 1 > len(parts):
        return None
    return ".".join([*parts[: len(parts) - (level - 1)], *([name] if name else [])])


def _list_exports(source: str) -> list[str]:
    """Return the names in the ``__all__`` of a package, which a star takes."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError):
        return []
    for node in body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            listed = node.value.elts if isinstance(node.value, ast.List | ast.Tuple) else []
            return [
                one.value for one in listed if isinstance(one, ast.Constant) and isinstance(one.value, str)
            ]
    return []


def _is_import_call(node: ast.Call) -> bool:
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    first = node.args[0] if node.args else None
    is_text = (
        isinstance(first, ast.Constant) and isinstance(first.value, str) and not first.value.startswith(".")
    )
    return called == "__import__" and is_text


def _is_installed(name: str) -> bool:
    """Return whether Python finds a package of that name, which goes before a folder without ``__init__.py``."""
    from importlib.machinery import PathFinder

    found = PathFinder.find_spec(name.partition(".")[0])
    return found is not None and found.origin is not None


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        problem = getattr(error, "strerror", None) or error
        raise StrategyError(f"{file}: cannot be read: {problem}") from None
