"""The hash of an engine's weights, learnt in the background: reading them all takes a minute."""

import logging
import threading
from pathlib import Path

from components.checkpoints.fingerprint import fingerprint
from components.engine.interface import Engine

logger = logging.getLogger(__name__)


def learn_fingerprint(engine: Engine, path: Path, data_dir: Path) -> None:
    """Begin to find out which weights the checkpoint at ``path`` has; ``engine.weights`` says so once it is known."""

    def learn() -> None:
        try:
            engine.weights = fingerprint(path, data_dir)
        except OSError:  # the edge of the thread; receipts go on without it
            logger.exception("The fingerprint of the weights is not known")

    threading.Thread(target=learn, name="fingerprint", daemon=True).start()
