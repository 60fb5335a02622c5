"""How this CPU multiplies fastest, found by trying: what one machine is quick at, another is not.

int8 weights are a quarter of float32's bytes, and with few rows reading the weights is what takes the time. With more
rows arithmetic does, and there bfloat16 is fast only where the CPU has instructions for it. Elsewhere FBGEMM's float16
weights are: half of float32's bytes, made float32 on the way into the registers.
"""

import logging
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import Field, TypeAdapter, ValidationError
from torch.nn import functional

logger = logging.getLogger(__name__)

Linear = Callable[[torch.Tensor], torch.Tensor]
"""``[n, in]`` to ``[n, out]``, in the type of what comes in."""

MIN_ROWS = 4
"""oneDNN may take another kernel for a single row, with sums in another order. Four rows take no longer than one."""

TRIED_ROWS = (1, 2, 4, 8, 16)
MANY_ROWS = 64
"""Rows at which the types of unquantized weights are compared."""

WIDEST = 4096
"""Larger layers are tried as if they were so wide and high: it would take too long."""

TRIED_BYTES = 96_000_000
"""Weights that are gone through in a trial, in float32: more than caches hold, as a model's are."""

MOST_TRIED = 32
"""Layers that are gone through at the most; small ones lie in caches in a model, too."""

REPEATS = 3


Wide = Literal["bfloat16", "float16", "float32"]
"""A type of unquantized weights."""

_DTYPES: dict[Wide, torch.dtype] = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}


@dataclass(frozen=True)
class CpuKernels:
    """What is fast here.

    Attributes:
        wide: the type in which unquantized weights multiply fastest, for many rows.
        int8_rows: up to so many rows at once int8 weights are faster than those; 0 for never.
    """

    wide: Wide
    int8_rows: Annotated[int, Field(ge=0, le=TRIED_ROWS[-1])]

    @property
    def any_rows(self) -> Literal["int8", "wide"]:
        """What serves where one kind must do for any number of rows, and compute a row alike whoever else is there.

        Not the faster one in a trial: where they are about as fast, each trial would find another, and with a seed
        another reply. FBGEMM's float16 kernel sums otherwise for another number of rows; float32 reads four times as
        much as int8, and is never more than a tenth faster up to 16 rows (tried with AVX2 and AVX-512).
        """
        return "wide" if self.wide == "bfloat16" or (self.wide == "float32" and not self.int8_rows) else "int8"

    @property
    def wide_dtype(self) -> torch.dtype:
        """``wide`` as torch has it."""
        return _DTYPES[self.wide]

    @property
    def plain_dtype(self) -> torch.dtype:
        """The fast one of the types in which torch's own operators compute: with float16 weights, they are float32."""
        return torch.float32 if self.wide == "float16" else self.wide_dtype


_KEPT = TypeAdapter(dict[str, CpuKernels])


def packed(weight: torch.Tensor) -> Linear:
    """The fastest kernel over unquantized weights ``[out, in]``, for any number of rows, of whatever type."""
    if weight.dtype == torch.float16 and weight.device.type == "cpu" and _multiplies_float16():
        return _packed_float16(weight)
    if not _packs(weight.device, weight.dtype):
        return lambda x: _as(functional.linear(_as(x, weight.dtype), weight), x.dtype)
    # What torch.compile does with weights that do not change; nothing public offers it without a compiler.
    reordered = torch.ops.mkldnn._reorder_linear_weight(weight, MIN_ROWS)

    def multiply(x: torch.Tensor) -> torch.Tensor:
        rows = len(x)
        wide = _as(x, weight.dtype)
        if rows < MIN_ROWS:
            wide = functional.pad(wide, (0, 0, 0, MIN_ROWS - rows))
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(wide, reordered, None, "none", [], "")
        return _as(product[:rows], x.dtype)

    return multiply


def _packed_float16(weight: torch.Tensor) -> Linear:
    """Over float16 weights; sums are float32's. The operators are those of torch's dynamically quantized ``Linear``."""
    reordered = torch.ops.quantized.linear_prepack_fp16(weight.float(), None)
    return lambda x: _as(torch.ops.quantized.linear_dynamic_fp16(_as(x, torch.float32), reordered), x.dtype)


def _multiplies_float16() -> bool:
    return "fbgemm" in torch.backends.quantized.supported_engines


def _as(x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """In this type. That it has it already is not asked of torch: a step has hundreds of such questions."""
    return x if x.dtype == dtype else x.to(dtype)


def find_cpu_kernels(width: int, height: int, kept_in: Path | None = None) -> CpuKernels:
    """Try the kernels on a layer from ``width`` to ``height`` numbers; takes about a second.

    Args:
        width: what comes in.
        height: what comes out.
        kept_in: a folder where what was found is kept, for this machine and this version of torch.
    """
    width, height = (min(size, WIDEST) // 32 * 32 for size in (width, height))
    about = f"{_processor()}, {torch.backends.cpu.get_cpu_capability()}, torch {torch.__version__}"
    about += f", {torch.get_num_threads()} threads, {width} to {height}"
    file = None if kept_in is None else kept_in / "kernels.json"
    known = _read(file)
    if about in known:
        return known[about]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several would wait for each other where other programs want the cores, too
    try:
        found = _try(width, height)
    finally:
        torch.set_num_threads(threads)
    if file is not None:
        _write(file, known | {about: found})
    return found


@torch.inference_mode()
def _try(width: int, height: int) -> CpuKernels:
    count = min(max(2, TRIED_BYTES // (4 * width * height)), MOST_TRIED)
    one = torch.rand(height, width)  # the others are copies: what they are does not matter, only where
    # Only what differs much, lest chance decide how replies are rounded: FBGEMM's float16 is as fast as float32 with
    # AVX-512 and faster with AVX2, and bfloat16 takes four times as long where there are no instructions for it.
    plain: Wide = "float16" if _multiplies_float16() else "float32"
    names: tuple[Wide, ...] = (plain, "bfloat16")
    wide = min(names, key=lambda name: _seconds([packed(one.to(_DTYPES[name]))] * 2, MANY_ROWS, width))
    weights = [packed(one.to(_DTYPES[wide], copy=True)) for _ in range(count)]
    integers = (one * 127).to(torch.int8)
    scale = torch.full((height,), 1 / 127).bfloat16()
    int8 = [partial(_multiply_int8, weight=integers.clone(), scale=scale) for _ in range(count)]
    faster = list(takewhile(lambda rows: _seconds(int8, rows, width) < _seconds(weights, rows, width), TRIED_ROWS))
    return CpuKernels(wide, faster[-1] if faster else 0)


def _multiply_int8(x: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return torch._weight_int8pack_mm(x, weight, scale)


def _seconds(kernels: Sequence[Linear], rows: int, width: int) -> float:
    """What going once through all of them takes of this thread's time, at the best: others only add to it."""
    x = torch.randn(rows, width).bfloat16()
    taken = []
    for _ in range(REPEATS):
        began = time.thread_time()
        for kernel in kernels:
            kernel(x)
        taken.append(time.thread_time() - began)
    return min(taken)


def _packs(device: torch.device, dtype: torch.dtype) -> bool:
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    return dtype == torch.float32 or (dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _read(file: Path | None) -> dict[str, CpuKernels]:
    """What was found before; nothing where the file is missing or not ours."""
    if file is None:
        return {}
    try:
        return _KEPT.validate_json(file.read_bytes())
    except (OSError, ValidationError):
        return {}


def _write(file: Path, found: dict[str, CpuKernels]) -> None:
    """Where it cannot be kept, it is tried again next time."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(_KEPT.dump_json(found, indent=2))
    except OSError as error:
        logger.warning("Which kernels are fast here cannot be kept, and is tried at every start: %s", error)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "CPU part")))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
