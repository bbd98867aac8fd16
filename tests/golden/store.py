"""The stored golden rows, and what to do where they are not what the code computes."""

import json
from pathlib import Path
from typing import Any

from backtune.search.planning.results_version import results_versions
from golden.components import Table

STUDY_LOOP = "study_loop"
_FOLDER = Path(__file__).with_name("stored")
_WRITE_AGAIN = "write the golden rows again with: python tests/golden/write.py"


def read(component: str) -> dict[str, Any]:
    """Return the stored rows of a component with the version that they belong to."""
    stored: dict[str, Any] = json.loads((_FOLDER / f"{component}.json").read_text(encoding="utf-8"))
    return stored


def write(component: str, rows: Table) -> None:
    """Store rows under the present version; rows that could not be computed here stay as they are."""
    path = _FOLDER / f"{component}.json"
    before = read(component)["rows"] if path.exists() else {}
    kept = {name: row for name, row in before.items() if name.startswith("gp ")}
    content = {"version": results_versions()[component], "rows": {**kept, **rows}}
    lines = [f"{json.dumps(name)}: {json.dumps(row)}" for name, row in content["rows"].items()]
    text = f'{{"version": {content["version"]}, "rows": {{\n' + ",\n".join(lines) + "\n}}\n"
    path.write_text(text, encoding="utf-8")


def explain_difference(component: str, rows: Table) -> str:
    """Return what to do about rows of a component that differ from the stored ones; empty where they are equal."""
    stored = read(component)
    version = results_versions()[component]
    names = [name for name, row in json.loads(json.dumps(rows)).items() if stored["rows"].get(name) != row]
    if names and version == stored["version"]:
        return (
            f"the rows of {component} changed ({'; '.join(names[:3])}), and so would those of every sweep that is stored. "
            f"If that is meant, raise the results version of {component} from {version} to {version + 1} in "
            f"backtune/search/planning/results_version.py, and {_WRITE_AGAIN}"
        )
    if version != stored["version"]:
        return f"the results version of {component} is {version}, and the golden rows are of {stored['version']}: {_WRITE_AGAIN}"
    return ""
