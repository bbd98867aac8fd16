"""Run a spec inside a Ray job: ray job submit --working-dir . -- python jobs/sweep.py jobs/crypto.yaml"""

import sys

from backtune.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["run"]
    main()
