"""The notebooks run from top to bottom, each in an empty folder, and are stored without what they print."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from pages import REPOSITORY

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
# One that runs a sweep, and one whose cells write a strategy; `make test-slow` runs all.
IN_CI = ("getting-started", "your-own-strategy")
# What a cell may take, and all cells of one together, in seconds; on an idle machine a notebook takes ten.
CELL_SECONDS, SECONDS = 60, 150


@pytest.fixture
def kernel(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels find our commands and leave nothing in the home folder."""
    home = tmp_path_factory.mktemp("jupyter")
    monkeypatch.setenv("PATH", os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    for name in (
        "JUPYTER_CONFIG_DIR",
        "JUPYTER_DATA_DIR",
        "JUPYTER_RUNTIME_DIR",
        "IPYTHONDIR",
        "MPLCONFIGDIR",
    ):
        monkeypatch.setenv(name, str(home))
    for name in ("BACKTUNE_HOME", "BACKTUNE_RUNS", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)


def test_there_are_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == [
        "from-sweep-to-pine", "getting-started", "reading-a-sweep", "your-own-strategy",
    ]  # fmt: skip


@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=path.stem, marks=() if path.stem in IN_CI else pytest.mark.slow)
        for path in NOTEBOOKS
    ],
)
def test_a_notebook_runs(path: Path, tmp_path: Path, kernel: None) -> None:
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=CELL_SECONDS, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    assert "error:" not in printed, printed
    assert "Traceback" not in printed, printed
    pictures = sum("image/png" in output.get("data", ()) for output in outputs)
    drawn = sum("plt.show()" in cell.source for cell in notebook.cells)
    assert pictures == drawn


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert notebook.cells[0].source.startswith("# ")
    assert notebook.metadata.kernelspec.name == "python3"
    assert path.stat().st_size < 20_000
