"""Strategy files and the modules that travel with them, as Python modules of a namespace of their own.

The modules of one strategy are ``backtune_strategy_<hash>.<name>``, so that helpers of the same name of two strategies, or of
two versions of one, do not meet. An ``import`` in them finds the ones that travel first, wherever and whenever it runs.
"""

from __future__ import annotations

import builtins
import contextlib
import hashlib
import importlib
import os
import re
import stat
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from backtune.strategy.modules import StrategyModule

_PREFIX: Final = "backtune_strategy_"
_CACHED: Final = re.compile(r"\bcache\s*=\s*True\b")


def load_module(main: StrategyModule, beside: Sequence[StrategyModule]) -> ModuleType:
    """Return the module of a strategy's file; it is run unless the same content has been run in this process.

    Args:
        main: Module of the strategy's file.
        beside: Modules that travel with it.

    Raises:
        Exception: The code raises; it is run again when it is asked for again.
    """
    modules = (main, *beside)
    root = f"{_PREFIX}{_compute_digest(modules)[:16]}"
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    if root not in _finder.namespaces:
        names = {one.name: one for one in modules}
        _finder.namespaces[root] = _Namespace(root, names, {main.name.rpartition(".")[2]: main.name})
    try:
        return importlib.import_module(f"{root}.{main.name}")
    except BaseException:
        for loaded in [one for one in sys.modules if one == root or one.startswith(f"{root}.")]:
            del sys.modules[loaded]
        raise


def strip_namespace(text: str) -> str:
    """Return a message with the names of modules as they are imported."""
    return re.sub(rf"{_PREFIX}[0-9a-f]{{16}}\.", "", text)


def _compute_digest(modules: Sequence[StrategyModule]) -> str:
    digest = hashlib.sha256()
    for one in modules:
        for part in (one.name, one.path, one.source):
            digest.update(part.encode("utf-8", "surrogatepass"))
            digest.update(b"\0")
    return digest.hexdigest()


@dataclass(frozen=True)
class _Namespace:
    """The modules of one strategy.

    Attributes:
        root: Name of the package that holds them.
        modules: Modules by name.
        aliases: Modules by a second name: the one that the strategy's file has in its own folder.
    """

    root: str
    modules: Mapping[str, StrategyModule]
    aliases: Mapping[str, str]

    def finds(self, name: str, importer: str) -> bool:
        """Return whether an import means a module of this namespace; an import of the file's own name means the installed one."""
        head = name.partition(".")[0]
        is_here = head in self.aliases or any(one.partition(".")[0] == head for one in self.modules)
        return is_here and importer != f"{self.root}.{self.aliases.get(head, head)}"

    def import_(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,  # noqa: A002
        locals: Mapping[str, Any] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """Import as Python does, with the modules of this namespace first."""
        scope = globals or {}
        # A package may well import what is in it.
        importer = "" if "__path__" in scope else str(scope.get("__name__", ""))
        is_here = level == 0 and self.finds(name, importer)
        try:
            return (
                self._import_own(name, fromlist or ())
                if is_here
                else builtins.__import__(name, globals, locals, fromlist or (), level)
            )
        except ModuleNotFoundError as error:
            missing = error.name or ""
            if missing.startswith(f"{self.root}.") or missing == name.partition(".")[0]:
                missing = strip_namespace(missing)
                raise ModuleNotFoundError(_describe_missing(missing, self), name=missing) from None
            # A module, or an installed package, misses something of its own.
            raise

    def _import_own(self, name: str, fromlist: Sequence[str]) -> ModuleType:
        own = f"{self.root}.{self.aliases.get(name, name)}"
        if fromlist or name in self.aliases:
            return builtins.__import__(own, fromlist=fromlist or ("__name__",))
        builtins.__import__(own)
        return sys.modules[f"{self.root}.{name.partition('.')[0]}"]


def _describe_missing(name: str, namespace: _Namespace) -> str:
    main = next(iter(namespace.modules.values()))
    folder = Path(main.path).parent
    return (
        f"No module named {name!r}; modules beside the strategy's file, in {folder}, are found, and installed packages: "
        f"put {name.rpartition('.')[2]}.py there, or install it wherever the sweep runs"
    )


class _Finder(MetaPathFinder):
    """A finder of the modules of all strategies that were loaded in this process."""

    def __init__(self) -> None:
        self.namespaces: dict[str, _Namespace] = {}

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        root, _, name = fullname.partition(".")
        namespace = self.namespaces.get(root)
        if namespace is None:
            return None
        is_folder = any(one.startswith(f"{name}.") for one in namespace.modules)
        module = namespace.modules.get(name)
        if module is None:
            if name and not is_folder:
                return None
            # The namespace itself, or the package of a file that imports nothing of it.
            module = StrategyModule(name, "", is_package=True, path="")
        loader = _ModuleLoader(namespace, module)
        return ModuleSpec(fullname, loader, origin=loader.file, is_package=module.is_package)


class _ModuleLoader(Loader):
    """A loader that runs one module."""

    def __init__(self, namespace: _Namespace, module: StrategyModule) -> None:
        self._namespace = namespace
        self._module = module
        self.file = _place_file(module, namespace) if module.source else module.path

    def exec_module(self, module: ModuleType) -> None:
        """Run the code with an ``import`` that knows what travels."""
        module.__file__ = self.file
        content = {**vars(builtins), "__import__": self._namespace.import_}
        module.__dict__["__builtins__"] = content
        code = compile(self._module.source, self.file, "exec", dont_inherit=True)
        exec(code, module.__dict__)  # noqa: S102

    def get_source(self, fullname: str) -> str:  # noqa: ARG002
        """Return the text, which tracebacks show where the file itself is elsewhere."""
        return self._module.source


def _place_file(module: StrategyModule, namespace: _Namespace) -> str:
    """Return the file that the code is said to be in: the user's own, but for code that Numba keeps compiled.

    Numba keeps that beside a real file, which a worker does not have, and by the time of that file alone: it would go on with
    what it compiled before a module beside the file was changed.
    """
    if not any(_CACHED.search(one.source) for one in namespace.modules.values()):
        return module.path
    try:
        file = (_find_cache_folder() / namespace.root).joinpath(*module.name.split("."))
        file = file / "__init__.py" if module.is_package else file.with_name(f"{file.name}.py")
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write_file(file, module.source)
    except OSError:
        # Numba says what it needs; code that is not to be kept needs nothing.
        return module.path
    return str(file)


def _find_cache_folder() -> Path:
    """Return the folder of this user's caches, or a temporary one where there is none to write in.

    Raises:
        OSError: Neither is there, or the temporary one is not this user's alone.
    """
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = Path(base).expanduser()
    with contextlib.suppress(OSError):
        folder = home / "backtune" / "strategies"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if os.access(folder, os.W_OK):
            return folder
    folder = Path(tempfile.gettempdir()) / f"backtune-strategies-{os.getuid()}"
    folder.mkdir(exist_ok=True, mode=0o700)
    found = folder.lstat()
    # Numba runs what it finds there: a folder that somebody else made first is not ours.
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise PermissionError(f"{folder} belongs to somebody else, or is open to others")
    return folder


def _write_file(file: Path, text: str) -> None:
    """Write a file at once, for processes that do the same at the same time."""
    handle, name = tempfile.mkstemp(dir=file.parent, suffix=".part")
    with os.fdopen(handle, "w", encoding="utf-8") as opened:
        opened.write(text)
    Path(name).replace(file)


_finder = _Finder()
