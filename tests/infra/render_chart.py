"""Prints the manifests of a Helm chart, as `helm template` does: render_chart.py CHART VALUES."""

import sys
from pathlib import Path

import yaml
from helm_python import Chart

chart, values = sys.argv[1:]
manifests = Chart.load(chart).render(
    yaml.safe_load(Path(values).read_text()), name="test", namespace="default"
)
for name, text in manifests.items():
    if name.endswith(".yaml"):
        sys.stdout.write(f"---\n{text}\n")
