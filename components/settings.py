"""Every option of the application, declared once.

Values come from environment variables named ``BAICHUAN_*`` or from a ``.env`` file in the working directory.
Nothing else in the project reads the environment. The address and the port are Streamlit's own
(``.streamlit/config.toml``, ``--server.address``, ``--server.port``) and therefore not here.
"""

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

ENV_PREFIX = "BAICHUAN_"


class SettingsError(ValueError):
    """A ``BAICHUAN_*`` value cannot be used; the text names the variable, the value and what is accepted."""


class Settings(BaseSettings):
    """The options, with their defaults. An empty variable counts as not set."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    model: Path | None = Field(
        None, description="Folder of the checkpoint to serve. Not set: the best one found in the models folder."
    )
    models_dir: Path = Field(Path("models"), description="Where download.py puts checkpoints.")
    data_dir: Path = Field(Path("data"), description="Where the application keeps its own state.")
    device: str | None = Field(
        None, description="Where the model runs: cpu, cuda, cuda:1, mps. Not set: the first accelerator, else the CPU."
    )
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field(
        "auto", description="Type of the weights. auto: bfloat16 where the device computes in it, else float16."
    )
    quantize: Literal["auto", "int8", "none"] = Field(
        "auto", description="Weights of one byte, for the CPU in bfloat16. auto: there; none: never."
    )
    engine: Literal["local", "plain"] = Field(
        "local",
        description="Who writes. local: many replies in one step; plain: transformers' own forward pass, one sequence "
        "after the other, which models that local cannot run get anyway.",
    )
    max_batch: int = Field(16, ge=1, le=512, description="Replies that are written at once; more wait in line.")
    cache_gb: float | None = Field(
        None,
        gt=0,
        description="Memory for the conversations' keys and values, in GB. "
        "Not set: 80 % of what is free on the GPU, or 25 % of the free main memory.",
    )
    max_body_bytes: int = Field(512 * 1024, ge=1024, description="Largest body of an API request, in bytes.")
    max_queue: int = Field(
        64,
        ge=1,
        description="Replies that may wait for the model; one more from an API is refused. People on the page may "
        "always wait.",
    )
    requests_per_minute: int = Field(
        60,
        ge=0,
        description="Replies that a visitor or a key may ask for in a minute; 0: any number. The owner has no limits.",
    )
    replies_at_once: int = Field(
        8, ge=0, description="Replies that a visitor or a key may have under way at once; 0: any number."
    )
    tokens_per_day: int = Field(
        0, ge=0, description="Tokens, read and written, that a visitor or a key may have in 24 hours; 0: any number."
    )
    max_reply_seconds: float | None = Field(
        None, gt=0, description="Seconds after which a reply is ended, counted from when its turn came."
    )
    log_prompts: bool = Field(
        False, description="Whether the log of requests, in the data folder, holds what was asked and answered."
    )


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Read the settings once per process.

    Raises:
        SettingsError: a value is not acceptable.
    """
    try:
        return Settings()
    except ValidationError as error:
        problems = "; ".join(
            f"{ENV_PREFIX}{'_'.join(str(part) for part in item['loc']).upper()}={item['input']!r}: {item['msg']}"
            for item in error.errors()
        )
        raise SettingsError(problems) from error
