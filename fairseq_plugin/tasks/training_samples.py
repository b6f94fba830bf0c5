"""Texts that the model writes while it is trained, for ``samples.md`` and TensorBoard."""

import logging
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fairseq.dataclass.configs import GenerationConfig
from omegaconf import OmegaConf

from fairseq_plugin.corpus.folder import read_stream
from fairseq_plugin.errors import UserError
from fairseq_plugin.reports.sample_book import SampleBook, write_tensorboard
from fairseq_plugin.tasks.prompt_sources import check_room, prefixes, read_prompts

logger = logging.getLogger(__name__)

FILE_NAME = "samples.md"
TOP_P = 0.9
Prompt = tuple[str, list[int]]  # text, token indices


class TrainingSamples:
    """Continues the same prompts at every validation, greedily and sampled, without disturbing the training.

    Args:
        cfg: the task's configuration (``sample_prompts``, ``num_sample_prefixes``, ``sample_tokens``, ...).
        prompts: list of ``(text, token indices)``, from :func:`sample_prompts`.
        model: the model in training, not wrapped.
        decoder: ``(generation flags) -> decoder`` for the model.
        decode: token indices -> text.
    """

    def __init__(
        self,
        cfg: Any,
        prompts: Sequence[Prompt],
        model: torch.nn.Module,
        decoder: Callable[[Any], Any],
        decode: Callable[[Any], str],
    ) -> None:
        self.cfg, self.prompts, self.model, self.decode = cfg, prompts, model, decode
        self.book = SampleBook(Path(cfg.save_dir) / FILE_NAME)
        plain = {"beam": 1, "max_len_b": cfg.sample_tokens}
        ways = (plain, {**plain, "sampling": True, "sampling_topp": TOP_P})
        with self._undisturbed():  # fairseq's own generator puts the model into evaluation mode
            self._decoders = [decoder(OmegaConf.structured(GenerationConfig(**way))) for way in ways]
        self._started = False
        self._last: int | None = None  # the update of the last entry

    def before_update(self, update: int, epoch: int | None) -> None:
        """Called before each update, when ``update`` are done; writes every ``--sample-interval-updates``."""
        if not self._started:
            self._started = True
            self.book.start(update)
            if any(entry.update == update for entry in self.book.entries()):
                self._last = update  # written before the checkpoint, at the validation, whose loss it tells
        interval = self.cfg.sample_interval_updates
        if interval and update and update % interval == 0:
            self.write(update, epoch)

    def write(self, update: int, epoch: int | None, valid_loss: float | None = None) -> None:
        """Write the samples of this moment, once per update."""
        if update == self._last:
            return
        self._last = update
        samples = self._sample()
        settings = (
            f"each prompt twice, first the most probable tokens (greedy), then sampled with top-p {TOP_P}; "
            f"{self.cfg.sample_tokens} tokens"
        )
        self.book.write(update=update, epoch=epoch, settings=settings, samples=samples, valid_loss=valid_loss)
        if self.cfg.tensorboard_logdir:
            write_tensorboard(self.cfg.tensorboard_logdir, update, samples)

    def _sample(self) -> list[Any]:
        prompts = [tokens for _, tokens in self.prompts]
        with self._undisturbed():
            found = [decoder.generate(prompts, list(range(len(prompts)))) for decoder in self._decoders]
        return [
            (text, self.decode(ways[i][0]["tokens"]))
            for i, (text, _) in enumerate(self.prompts)
            for ways in found
        ]

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """Put everything back that decoding may touch: modes of the modules, random numbers."""
        modes = [(module, module.training) for module in self.model.modules()]
        states = random.getstate(), np.random.get_state()
        with torch.random.fork_rng(), torch.no_grad():
            try:
                # fairseq's own sampler draws from torch's generator: the same numbers at every validation.
                torch.manual_seed(self.cfg.seed)
                yield
            finally:
                random.setstate(states[0])
                np.random.set_state(states[1])
                for module, training in modes:
                    module.training = training


def sample_prompts(
    cfg: Any,
    split: str | None,
    positions: int,
    eos: int,
    encode: Callable[[str], list[int]],
    decode: Callable[[Any], str],
) -> list[Prompt]:
    """The prompts of a training: those of ``--sample-prompts``, and prefixes spread evenly over a split.

    Args:
        cfg: the task's configuration.
        split: the validation split, or ``None``.
        positions: of the model.
        eos: index of ``</s>``, with which the prompts of a file begin.
        encode, decode: text -> token indices and back.

    Returns:
        List of ``(text, token indices)``.

    Raises:
        UserError: flags out of range, or a prompt that leaves no room.
    """
    for flag in ("num_sample_prefixes", "sample_interval_updates"):
        if getattr(cfg, flag) < 0:
            raise UserError(f"--{flag.replace('_', '-')} {getattr(cfg, flag)} must be 0 or more")
    if cfg.sample_tokens < 1:
        raise UserError(f"--sample-tokens {cfg.sample_tokens} must be 1 or more")
    found = []
    if cfg.sample_prompts:
        given = read_prompts(cfg.sample_prompts, "--sample-prompts", encode)
        found = [(text, [eos, *tokens]) for text, tokens in given]
        check_room([tokens for _, tokens in found], cfg.sample_tokens, positions, "--sample-tokens")
    if cfg.num_sample_prefixes and split:
        found += _spread_prefixes(cfg, split, positions, decode)
    return found


def _spread_prefixes(cfg: Any, split: str, positions: int, decode: Callable[[Any], str]) -> list[Prompt]:
    room = positions - cfg.sample_tokens
    if room < 1:
        raise UserError(
            f"--sample-tokens {cfg.sample_tokens} leaves no room for a prompt in the model's "
            f"{positions} positions: give at most {positions - 1}, or --num-sample-prefixes 0"
        )
    stream = read_stream(cfg.data, split)
    length = min(cfg.prefix_tokens, room, len(stream))
    if length < cfg.prefix_tokens:
        logger.info(
            "samples while training begin with %d tokens of the text: there is no room for more", length
        )
    whole, _ = prefixes(stream, length, split)
    number = min(cfg.num_sample_prefixes, len(whole))
    chosen = [whole[i * len(whole) // number].tolist() for i in range(number)]
    return [(decode(tokens), tokens) for tokens in chosen]
