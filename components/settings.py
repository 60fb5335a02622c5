"""Every option of the application, declared once.

Values come from environment variables named ``BAICHUAN_*`` or from a ``.env`` file in the working directory.
Nothing else in the project reads the environment. The address and the port are Streamlit's own
(``.streamlit/config.toml``, ``--server.address``, ``--server.port``) and therefore not here.
"""

import re
import shlex
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, HttpUrl, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

ENV_PREFIX = "BAICHUAN_"


class SettingsError(ValueError):
    """A ``BAICHUAN_*`` value cannot be used; the text names the variable, the value and what is accepted."""


class Settings(BaseSettings):
    """The options, with their defaults. An empty variable counts as not set."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    model: Path | None = Field(
        None,
        description="The checkpoint to serve: its folder, or a GGUF file. Not set: the best one found in the models "
        "folder.",
    )
    models_dir: Path = Field(Path("models"), description="Where download.py puts checkpoints.")
    data_dir: Path = Field(Path("data"), description="Where the application keeps its own state.")
    database_url: SecretStr | None = Field(
        None,
        description="Where conversations are kept: postgresql://user:password@host/name or sqlite:////folder/chats.db. "
        "Not set: a SQLite file in the data folder.",
    )
    device: str | None = Field(
        None, description="Where the model runs: cpu, cuda, cuda:1, mps. Not set: the first accelerator, else the CPU."
    )
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = Field(
        "auto", description="Type of the weights. auto: bfloat16, or what this device is faster in."
    )
    quantize: Literal["auto", "int8", "none"] = Field(
        "auto", description="Weights of one byte, for the CPU in bfloat16. auto: there; none: never."
    )
    engine: Literal["local", "plain", "llamacpp", "vllm", "openai"] = Field(
        "local",
        description="Who writes. local: many replies in one step; plain: transformers' own forward pass, one sequence "
        "after the other, which models that local cannot run get anyway; llamacpp: llama.cpp, which GGUF files get "
        "anyway; vllm: vLLM on an NVIDIA GPU, which is installed, started and watched; openai: an OpenAI-compatible "
        "server.",
    )
    vllm: Path | None = Field(
        None,
        description="For engine vllm: the program, such as /opt/vllm/bin/vllm. Not set: the one in the path, else one "
        "that is installed into the data folder.",
    )
    vllm_options: str | None = Field(
        None, description="More options for it, as on its command line, such as --tensor-parallel-size 2."
    )
    openai_base_url: HttpUrl | None = Field(
        None, description="For engine openai: the server's address, such as http://127.0.0.1:8000/v1."
    )
    openai_api_key: SecretStr | None = Field(None, description="The key that this server asks for, if it does.")
    openai_model: str | None = Field(
        None, description="Which of this server's models answers. Not set: the first that it lists."
    )
    openai_context_length: int = Field(
        4096, ge=64, description="The model's context in tokens, where this server does not tell it."
    )
    openai_connect_timeout: float = Field(5.0, gt=0, description="Seconds until this server must take a connection.")
    openai_first_token_timeout: float = Field(
        300.0,
        gt=0,
        description="Seconds until the first token of a reply, waiting on this server included. llama.cpp and vLLM "
        "that are started here may take as long as they need.",
    )
    openai_token_timeout: float = Field(60.0, gt=0, description="Seconds between two tokens of a reply, at the most.")
    openai_retries: int = Field(
        4, ge=0, le=20, description="How often this server is asked again before the first token of a reply."
    )
    kept_scores: int = Field(
        50,
        ge=0,
        le=1000,
        description="Of how many of the likeliest tokens the scores are kept at each step of a reply on the page, so "
        "that one can look inside it; 0: of none. APIs do not pay for it.",
    )
    max_batch: int = Field(16, ge=1, le=512, description="Replies that are written at once; more wait in line.")
    cache_gb: float | None = Field(
        None,
        gt=0,
        description="Memory for the conversations' keys and values, in GB. "
        "Not set: 80 % of what the model and its steps leave free on the GPU, or 25 % of the free main memory.",
    )
    access: Literal["auto", "locked", "open"] = Field(
        "auto",
        description="Who may come in. auto: on 127.0.0.1 everybody on this machine, elsewhere who has a code or key; "
        "locked: always who has one, for a reverse proxy on the same machine; open: everybody, unasked.",
    )
    access_code: SecretStr | None = Field(
        None,
        min_length=8,
        description="The code that lets visitors in, of at least 8 characters. Not set: one is made, kept in the data "
        "folder and printed at start.",
    )
    owner_code: SecretStr | None = Field(
        None,
        min_length=8,
        description="The same for the owner, who also sees how the server is doing, and ends replies.",
    )
    sign_in: bool = Field(
        False,
        description="Whether visitors may also sign in with the OpenID provider of .streamlit/secrets.toml; "
        "see docs/deploy.md.",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Origins whose pages may call the APIs from a browser, separated by commas, such as "
        "https://example.org; * for all.",
    )
    max_question_chars: int = Field(
        100_000,
        ge=100,
        le=200_000,
        description="Longest question, and longest system prompt, that the page takes, in characters.",
    )
    image_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Hosts whose pictures a reply may show, separated by commas, such as example.org or *.example.org; "
        "readers' browsers fetch them. A picture from elsewhere is shown as a link.",
    )
    max_body_bytes: int = Field(512 * 1024, ge=1024, description="Largest body of an API request, in bytes.")
    max_import_bytes: int = Field(
        20 * 2**20, ge=1024, description="Largest file of conversations that a reader may bring in, in bytes."
    )
    max_stored_chars: int = Field(
        20_000_000,
        ge=1000,
        description="Characters that a visitor may keep of conversations, with all that is kept beside the texts, and "
        "of shared copies. Who has more is asked to delete something before the next question. The owner has no such "
        "limit.",
    )
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
    address_shares: int = Field(
        2,
        ge=0,
        description="How many visitors' shares one network address has for all who come from there; 0: any number. "
        "Without it, signing in again would give a new share. More where many come from one address.",
    )
    tokens_per_day: int = Field(
        0, ge=0, description="Tokens, read and written, that a visitor or a key may have in 24 hours; 0: any number."
    )
    max_reply_seconds: float | None = Field(
        None, gt=0, description="Seconds after which a reply is ended, counted from when its turn came."
    )
    unwatched_reply_seconds: float | None = Field(
        None,
        gt=0,
        description="Seconds after which a reply is ended that nobody has looked at on the page. Not set: it is "
        "written to its end.",
    )
    log_prompts: bool = Field(
        False, description="Whether the log of requests, in the data folder, holds what was asked and answered."
    )

    @field_validator("model", "models_dir", "data_dir", "vllm")
    @classmethod
    def _as_a_shell_finds_it(cls, value: Path | None) -> Path | None:
        """In a ``.env`` file nobody else takes ``~`` for the home folder."""
        try:
            return None if value is None else value.expanduser()
        except RuntimeError:
            raise ValueError("nobody has this home folder") from None

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: str | tuple[str, ...]) -> tuple[str, ...]:
        origins = value.split(",") if isinstance(value, str) else value
        origins = tuple(origin.strip() for origin in origins if origin.strip())
        for origin in origins:
            if origin != "*" and not re.fullmatch(r"https?://[^/\s]+", origin):
                raise ValueError(f"{origin!r} is no origin; write it like https://example.org, without a path")
        return origins

    @field_validator("image_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, value: str | tuple[str, ...]) -> tuple[str, ...]:
        hosts = value.split(",") if isinstance(value, str) else value
        hosts = tuple(host.strip().lower() for host in hosts if host.strip())
        for host in hosts:
            if not re.fullmatch(r"(?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::\d+)?", host):
                raise ValueError(f"{host!r} is no host; write it like example.org, without https:// and path")
        return hosts

    @field_validator("vllm_options")
    @classmethod
    def _as_a_shell_reads_them(cls, value: str | None) -> str | None:
        try:
            shlex.split(value or "")
        except ValueError as error:
            raise ValueError(f"it cannot be read as options: {error}") from None
        return value

    @model_validator(mode="after")
    def _two_codes(self) -> Self:
        if self.access_code and self.access_code == self.owner_code:
            raise ValueError(
                f"{ENV_PREFIX}ACCESS_CODE and {ENV_PREFIX}OWNER_CODE are the same; every visitor would own"
            )
        return self


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Read the settings once per process.

    Raises:
        SettingsError: a value is not acceptable.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError("; ".join(_describe(item) for item in error.errors())) from None


def _describe(item: ErrorDetails) -> str:
    if not item["loc"]:
        return item["msg"]
    name = "_".join(str(part) for part in item["loc"])
    value = "…" if name.endswith("_code") else repr(item["input"])  # a secret must not get into the log
    return f"{ENV_PREFIX}{name.upper()}={value}: {item['msg']}"
