"""The application, from the model up to the page. Imports go one way: ui, api, engine, model, checkpoints, settings."""

import os

if "OMP_WAIT_POLICY" not in os.environ:
    # libgomp's threads, torch's among them, wait for each other in a loop, 300,000 rounds of it when nothing is set:
    # beside other programs the core that one waits on is the one that another needs. It reads this when it is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")
