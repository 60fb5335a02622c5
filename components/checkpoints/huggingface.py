"""Fetching from the Hugging Face hub with its own client.

The client goes on within a file when the connection is cut, but starts the file anew in a new process.
Its address can be changed with the client's own variable ``HF_ENDPOINT``, for instance to a mirror.
"""

from collections.abc import Sequence
from pathlib import Path

from components.checkpoints.errors import FetchError
from components.checkpoints.remote import Hub, RemoteFile

LOST = "Check the network (or set HF_ENDPOINT to a mirror) and run the same command again: whole files are kept."


class HuggingFace(Hub):
    """https://huggingface.co."""

    name = "Hugging Face"

    def __init__(self, model: str, revision: str) -> None:
        self.model = model
        self.revision = revision

    def list_files(self) -> list[RemoteFile]:
        """See ``Hub.list_files``."""
        import httpx2
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError

        try:
            info = HfApi().model_info(self.model, revision=self.revision, files_metadata=True)
        except (HfHubHTTPError, HFValidationError, httpx2.HTTPError, OSError) as error:
            raise FetchError(self._explain(error)) from error
        return [
            RemoteFile(item.rfilename, item.size or 0, item.lfs.sha256 if item.lfs else None)
            for item in info.siblings or []
        ]

    def fetch(self, files: Sequence[RemoteFile], folder: Path) -> None:
        """See ``Hub.fetch``."""
        import httpx2
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

        for leftover in folder.rglob("*.incomplete"):  # the client never takes one up again, nor deletes it
            leftover.unlink()
        try:
            snapshot_download(
                self.model,
                revision=self.revision,
                local_dir=folder,
                allow_patterns=[file.path for file in files],
            )
        except (HfHubHTTPError, LocalEntryNotFoundError, httpx2.HTTPError, OSError) as error:
            raise FetchError(self._explain(error)) from error

    def _explain(self, error: Exception) -> str:
        from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

        if isinstance(error, RepositoryNotFoundError | RevisionNotFoundError | HFValidationError):
            return (
                f"Hugging Face has no {self.model} at revision {self.revision}. "
                "Look at https://huggingface.co for the exact name, and set --model and --revision."
            )
        if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
            return f"{error.filename} could not be written: {error.strerror}. Make room or choose another --dir."
        return f"Hugging Face could not be reached for {self.model}. {LOST}"
