"""What the sidebar of the page shows, for a conversation."""

from dataclasses import dataclass
from typing import Any

from components.sampling.parameters import SamplingParams


@dataclass(frozen=True)
class Controls:
    """How to sample, and what the model is told before the conversation."""

    sampling: SamplingParams
    system: str = ""

    @property
    def kept(self) -> dict[str, Any]:
        """As a conversation keeps them: its columns' values."""
        return {"sampling": self.sampling.model_dump(mode="json"), "system": self.system}
