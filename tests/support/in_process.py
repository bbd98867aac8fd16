"""The command line in the process of the tests, which saves the start of an interpreter and the imports of each call."""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from backtune.cli import main


def run_main(
    arguments: list[str], cwd: Path, variables: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run ``backtune`` with these arguments in a folder and an environment, and return its status and streams.

    An exception that the command line does not expect is raised here, where a process would print its traceback.
    """
    stdout, stderr = _stream(), _stream()
    with (
        contextlib.chdir(cwd),
        _environment(variables),
        _program_arguments(arguments),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        try:
            main()
            status = 0
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
    return subprocess.CompletedProcess(arguments, status, _text(stdout), _text(stderr))


def _stream() -> io.TextIOWrapper:
    """Return a stream of text over bytes, as a process has them, so that bytes can be written as well."""
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)


def _text(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Replace all of the environment for a while."""
    before = dict(os.environ)
    try:
        os.environ.clear()
        os.environ.update(variables)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _program_arguments(arguments: list[str]) -> Iterator[None]:
    before = sys.argv
    try:
        sys.argv = ["backtune", *arguments]
        yield
    finally:
        sys.argv = before
