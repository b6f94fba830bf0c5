"""``--optimizer fused_adamw``: torch's fused AdamW, with decay on matrices only.

fairseq's own Adam is a Python loop over the parameters. Here one fused call updates them all, on CPU and
CUDA. As in nanoGPT, weight decay falls on parameters of two and more dimensions (products and embeddings),
never on biases and LayerNorm.

Supported: float32 training, autocast inside the model, ``--amp``, ``--bf16`` and
``--fp16 --fp16-no-flatten-grads`` (both keep float32 master weights of the parameters' shapes). Refused by
fairseq with a message: ``--fp16`` alone, which flattens all parameters into one vector and so hides which
are matrices, and ``--memory-efficient-fp16/-bf16``, under which AdamW's moments would be rounded to half
precision.
"""

import ast
import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, List

import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.optim import FairseqOptimizer, register_optimizer
from omegaconf import II

from fairseq_plugin.errors import UserError, plain_errors

logger = logging.getLogger(__name__)


@dataclass
class FusedAdamWConfig(FairseqDataclass):
    adam_betas: Any = field(
        default=(0.9, 0.999),
        metadata={"help": "decay of the running means of gradients and of their squares, two in [0, 1)"},
    )
    adam_eps: float = field(
        default=1e-8,
        metadata={"help": "added to the root of the mean square, in units of the gradient, >= 0"},
    )
    weight_decay: float = field(
        default=0.0,
        metadata={"help": "share of a matrix taken off per update and unit of learning rate, >= 0"},
    )
    lr: List[float] = field(default=II("optimization.lr"))


@register_optimizer("fused_adamw", dataclass=FusedAdamWConfig)
class FusedAdamW(FairseqOptimizer):
    """Thin adapter over ``torch.optim.AdamW(fused=True)``.

    Args:
        cfg: a :class:`FusedAdamWConfig`.
        params: trainable tensors, in the model's order.

    Raises:
        SystemExit: a flag out of range.
    """

    @plain_errors()
    def __init__(self, cfg: FusedAdamWConfig, params: Iterable[torch.nn.Parameter]) -> None:
        super().__init__(cfg)
        config = self.optimizer_config
        groups = decay_groups(params, config.pop("weight_decay"))
        # torch itself would only complain at the first update.
        tensors = [tensor for group in groups for tensor in group["params"]]
        odd = sorted({f"{t.dtype} on {t.device.type}" for t in tensors if not has_fused_kernel(t)})
        if odd:
            logger.warning("torch has no fused AdamW for %s: its plain, slower AdamW is used", ", ".join(odd))
        self._optimizer = torch.optim.AdamW(groups, fused=not odd, **config)

    @property
    def optimizer_config(self) -> dict[str, Any]:
        """Checked keyword arguments for ``torch.optim.AdamW``, ``weight_decay`` among them."""
        rates = self.cfg.lr
        return {
            "lr": rates[0] if isinstance(rates, Sequence) else rates,
            "betas": parse_betas(self.cfg.adam_betas),
            "eps": _not_negative("--adam-eps", self.cfg.adam_eps),
            "weight_decay": _not_negative("--weight-decay", self.cfg.weight_decay),
        }

    def load_state_dict(
        self, state_dict: dict[str, Any], optimizer_overrides: Mapping[str, Any] | None = None
    ) -> None:
        """Restore moments, step counts and settings bit for bit, whatever kernel wrote them.

        Args:
            state_dict: of :meth:`state_dict`.
            optimizer_overrides: ``--optimizer-overrides``; ``weight_decay`` there changes matrices only.

        Raises:
            SystemExit: the checkpoint was written by another optimizer or for other parameters.
        """
        ours = [len(group["params"]) for group in self.param_groups]
        theirs = [len(group["params"]) for group in state_dict.get("param_groups", [])]
        if ours != theirs:
            with plain_errors():
                raise UserError(
                    f"--restore-file: its optimizer state holds groups of {theirs} parameters, --optimizer "
                    f"fused_adamw needs {ours}: it is of another optimizer or model. Add "
                    "--reset-optimizer to start the optimizer anew"
                )
        kernels = [(group["fused"], group["foreach"]) for group in self.param_groups]
        super().load_state_dict(state_dict)
        for group, (fused, foreach) in zip(self.param_groups, kernels):
            group.update(fused=fused, foreach=foreach)  # a matter of this machine, not of the checkpoint
            overrides = dict(optimizer_overrides or {})
            if not group["decays"]:
                overrides.pop("weight_decay", None)
            group.update(overrides)


def decay_groups(params: Iterable[torch.Tensor], weight_decay: float) -> list[dict[str, Any]]:
    """Split parameters into those that decay (two and more dimensions) and those that do not.

    Args:
        params: tensors, in the model's order, which is kept inside each group.
        weight_decay: for the first group; the second gets 0.

    Returns:
        Param groups for a torch optimizer, empty ones left out; ``decays`` tells them apart in a checkpoint.

    Raises:
        UserError: no trainable parameter.
    """
    params = list(params)
    groups = [
        {"params": [p for p in params if p.dim() >= 2], "weight_decay": weight_decay, "decays": True},
        {"params": [p for p in params if p.dim() < 2], "weight_decay": 0.0, "decays": False},
    ]
    groups = [group for group in groups if group["params"]]
    if not groups:
        raise UserError("--optimizer fused_adamw: the model has no trainable parameter")
    return groups


def has_fused_kernel(parameter: torch.Tensor) -> bool:
    """Whether torch's fused AdamW takes this parameter: real numbers, on the CPU or a CUDA device."""
    return parameter.is_floating_point() and parameter.device.type in ("cpu", "cuda")


def parse_betas(value: str | Sequence[float]) -> tuple[float, float]:
    """Two numbers in [0, 1) from ``'(0.9, 0.999)'``, a list or a tuple.

    Raises:
        UserError: anything else.
    """
    try:
        parsed = ast.literal_eval(value) if isinstance(value, str) else value
        first, second = (float(beta) for beta in parsed)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):  # whatever a text makes of it
        first = second = math.nan
    if not (0.0 <= first < 1.0 and 0.0 <= second < 1.0):
        raise UserError(f"--adam-betas {value!r}: must be two numbers in [0, 1), such as '(0.9, 0.999)'")
    return first, second


def _not_negative(flag: str, value: float) -> float:
    if not (math.isfinite(value) and value >= 0.0):
        raise UserError(f"{flag} {value}: must be a finite number >= 0")
    return value
