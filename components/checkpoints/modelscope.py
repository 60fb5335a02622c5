"""Fetching from ModelScope with its own client, which resumes, retries and checks hashes.

Its address can be changed with the client's own variable ``MODELSCOPE_ENDPOINT``.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from components.checkpoints.errors import FetchError
from components.checkpoints.remote import Hub, RemoteFile


class ModelScope(Hub):
    """https://modelscope.cn, reached quickly from mainland China."""

    name = "ModelScope"

    def __init__(self, model: str, revision: str) -> None:
        self.model = model
        self.revision = revision

    def list_files(self) -> list[RemoteFile]:
        """See ``Hub.list_files``."""
        from modelscope.hub.api import HubApi
        from modelscope_hub.errors import HubError

        _quiet()
        try:
            listed = HubApi().get_model_files(self.model, revision=self.revision, recursive=True)
        except (HubError, OSError, ValueError) as error:
            raise FetchError(_explain(self, error)) from error
        return [
            RemoteFile(item["Path"], int(item["Size"]), item.get("Sha256") or None)
            for item in listed
            if item.get("Type") != "tree"
        ]

    def fetch(self, files: Sequence[RemoteFile], folder: Path) -> None:
        """See ``Hub.fetch``."""
        from modelscope import snapshot_download
        from modelscope_hub.errors import FileDownloadError, HubError

        _quiet()
        try:
            snapshot_download(
                self.model,
                revision=self.revision,
                local_dir=str(folder),
                allow_patterns=[file.path for file in files],
            )
        except FileDownloadError as error:
            path, cause = next(iter(error.failed_files.items()))
            raise FetchError(_explain(self, cause, path)) from error
        except (HubError, OSError, ValueError) as error:
            raise FetchError(_explain(self, error)) from error


def _quiet() -> None:
    """Leave saying what went wrong to us; the client would print it several times over."""
    for name in ("modelscope", "modelscope_hub"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _explain(hub: ModelScope, error: BaseException, path: str | None = None) -> str:
    from modelscope_hub.errors import FileIntegrityError, NetworkError, NotExistError

    what = f"{path} of {hub.model}" if path else hub.model
    match error:
        case NotExistError():
            return (
                f"ModelScope has no {what} at revision {hub.revision}. "
                "Look at https://modelscope.cn for the exact name, and set --model and --revision."
            )
        case FileIntegrityError():
            return (
                f"{what} arrived damaged several times over. Run the same command again, or try --source huggingface."
            )
        case NetworkError():
            return (
                f"ModelScope could not be reached for {what}. Check the network and run the same command again: "
                "it goes on where it stopped."
            )
        case OSError() if error.errno is not None:
            return f"{what} could not be written: {error.strerror}. Make room or choose another --dir, and run again."
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return f"ModelScope could not deliver {what}: {reason}. Run the same command again: it goes on where it stopped."
