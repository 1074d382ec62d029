"""One run in several processes: what Accelerate's processes must agree on, kept equal here.

Accelerate finds the processes, chooses the device and the precision, and carries the numbers.  The
networks are not wrapped in ``DistributedDataParallel``: a stage's loss is a function that calls several
networks and their parts, some twice and some without gradients, while the wrapper sees only calls of
one module's ``forward``.  The gradients are averaged after the backward pass instead, all at once; that
gives up overlapping the two, which networks of this size do not miss.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast, broadcast_object_list, gather_object
from torch import Tensor, nn

from codetalker_blender.errors import UserError

Value = TypeVar("Value")

#: Seeds of the processes lie this far apart; the main process's is the seed itself.
PROCESS_SEED = 1_000_003

#: Splitting one network over devices would need the wrapped networks that this training does without.
_PLAIN = ("NO", "MULTI_CPU", "MULTI_GPU", "MULTI_XPU", "MULTI_NPU", "MULTI_MLU", "MULTI_MUSA", "MULTI_HPU")
_PRECISIONS = {"no": None, "fp16": torch.float16, "bf16": torch.bfloat16}


class Processes:
    """This process among those that ``accelerate launch`` (or torchrun) started, or the only one.

    cpu: stay on the CPU; otherwise Accelerate takes the best device of this process
    mixed_precision: "no", "fp16" or "bf16"; None takes the launch's
    Raises UserError when the launch asks for what this training does not do.
    """

    def __init__(self, *, cpu: bool = False, mixed_precision: str | None = None) -> None:
        try:
            accelerator = Accelerator(cpu=cpu, mixed_precision=mixed_precision)
        except ValueError as error:  # a precision that the device or the launch does not have
            raise UserError(
                f"Accelerate cannot be set up: {error}", "Check the arguments of `accelerate launch`."
            ) from error
        kind = accelerator.distributed_type.value
        if kind not in _PLAIN:
            raise UserError(
                f"Accelerate is set up for '{kind}', which this training does not use.",
                "Choose one or several processes without FSDP, DeepSpeed or the like.",
            )
        if accelerator.mixed_precision not in _PRECISIONS:
            raise UserError(
                f"Mixed precision '{accelerator.mixed_precision}' is not available here.",
                "Use no, fp16 or bf16.",
            )
        if accelerator.gradient_accumulation_steps != 1:
            raise UserError(
                f"Gradients are not accumulated over {accelerator.gradient_accumulation_steps} steps here.",
                "Use --gradient_accumulation_steps 1 and a larger batch.",
            )
        self._accelerator = accelerator
        self.device: torch.device = accelerator.device
        self.count: int = accelerator.num_processes
        #: for seeds that must differ between processes; 0 is the main process
        self.index: int = accelerator.process_index
        self.precision: str = accelerator.mixed_precision
        #: keeps float16's gradients above its smallest numbers; None in the other precisions
        self.scaler: torch.amp.GradScaler | None = accelerator.scaler

    @property
    def is_main(self) -> bool:
        """The one process that writes."""
        return self.index == 0

    def autocast(self, bfloat16: bool) -> torch.autocast:
        """The launch's mixed precision; where that is "no", ``bfloat16`` asks for bfloat16 all the same."""
        dtype = _PRECISIONS[self.precision] or (torch.bfloat16 if bfloat16 else None)
        return torch.autocast(self.device.type, dtype, enabled=dtype is not None)

    def backward(self, loss: Tensor) -> None:
        """Gradients of ``loss`` in this process, scaled where there is a scaler."""
        self._accelerator.backward(loss)

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Give every process the mean of all processes' gradients; missing ones count as zeros.

        A parameter that no process has a gradient for keeps none, so that the optimiser leaves it alone.
        """
        if self.count == 1:
            return
        # one message: for every parameter whether it has a gradient, then all gradients end to end
        found = torch.tensor([float(p.grad is not None) for p in parameters], device=self.device)
        parts = [torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in parameters]
        mean: Tensor = self._accelerator.reduce(torch.cat([found, *parts]), "mean")
        shares = mean[: len(parameters)].tolist()
        flat = mean[len(parameters) :].split([p.numel() for p in parameters])
        for parameter, share, part in zip(parameters, shares, flat, strict=True):
            parameter.grad = part.view_as(parameter) if share else None

    def share_weights(self, networks: Sequence[nn.Module]) -> None:
        """Give every process the main process's weights and buffers.

        For the start of a stage, and after weights were set outside the optimiser from numbers that
        differ between processes.  Every process must call it.
        """
        if self.count == 1:
            return
        with torch.no_grad():
            for network in networks:
                for tensor in (*network.parameters(), *network.buffers()):
                    tensor.copy_(broadcast(tensor.detach().clone()))

    def total(self, numbers: Tensor) -> Tensor:
        """The sum over all processes (how often each code was chosen, say)."""
        summed: Tensor = self._accelerator.reduce(numbers.to(self.device), "sum")
        return summed.to(numbers.device)

    def mean(self, values: dict[str, float]) -> dict[str, float]:
        """Every value averaged over the processes; all must have the same names."""
        if self.count == 1:
            return values
        # float32, because not every device has float64; these are for reading
        numbers = torch.tensor(list(values.values()), dtype=torch.float32, device=self.device)
        return dict(zip(values, (self.total(numbers) / self.count).tolist(), strict=True))

    def gathered(self, value: Value) -> list[Value]:
        """Every process's ``value``, by process index."""
        everyone: list[Value] = gather_object([value])
        return everyone

    def from_main(self, value: Value) -> Value:
        """The main process's ``value``."""
        box: list[Any] = [value]
        broadcast_object_list(box)
        main: Value = box[0]
        return main

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """The main process goes through the block before the others, which find what it left on the disk."""
        with self._accelerator.main_process_first():
            yield

    def draw_apart(self) -> None:
        """Let torch's own generator (dropout) differ between processes; the main one's stays as it is."""
        if self.index:
            torch.manual_seed(torch.initial_seed() + self.index)
