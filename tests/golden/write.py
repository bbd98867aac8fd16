"""Write the golden rows again: ``python tests/golden/write.py``.

Only after the results version of the component whose rows changed was raised, see ``backtune/search/planning/results_version.py``.
Rows of the sampler ``gp`` need torch; without it the stored ones stay as they are.
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from golden import store
from golden.components import COMPONENTS, build_market
from golden.sweeps import documents, sweep_rows


def main() -> None:
    """Compute every table and store it with the versions that it belongs to."""
    with tempfile.TemporaryDirectory(prefix="golden-") as folder:
        market = build_market(Path(folder) / "market")
        for component, rows_of in COMPONENTS.items():
            store.write(component, rows_of(market))
        runs = Path(folder) / "runs"
        tables = {
            name: sweep_rows(document, runs / str(k))
            for k, (name, document) in enumerate(documents(market).items())
        }
        store.write(store.STUDY_LOOP, tables)


if __name__ == "__main__":
    main()
