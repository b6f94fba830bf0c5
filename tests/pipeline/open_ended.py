"""What tests of ``--task open_ended_generation`` share: a made text, stock commands in this process."""

import contextlib
import importlib
import io
import logging
import random
import re
import sys
from unittest import mock

OPEN_ENDED = (
    "--task",
    "open_ended_generation",
    "--tokens-per-sample",
    32,
    "--sample-tokens",
    12,
    "--prefix-tokens",
    8,
)

_SUBJECTS = "the cat|the old sailor|a king|my sister|the river|nobody|every clock|the little boat".split("|")
_VERBS = "sees|follows|forgets|carries|sings to|is afraid of|waits for|dreams of".split("|")


def made_text(num_documents, seed=7):
    """Documents of one to four short sentences, blank lines between them."""
    chance = random.Random(seed)
    documents = []
    for _ in range(num_documents):
        lines = [
            f"{chance.choice(_SUBJECTS)} {chance.choice(_VERBS)} {chance.choice(_SUBJECTS)}.".capitalize()
            for _ in range(chance.randint(1, 4))
        ]
        documents.append("\n".join(lines))
    return "\n\n".join(documents) + "\n"


def in_process(command, *words, stdin=""):
    """Run ``fairseq-COMMAND`` in this process: no start of an interpreter for every call.

    Args:
        command: ``"generate"``, ``"interactive"``, ``"eval_lm"`` or ``"validate"``.
        words: its words.
        stdin: what is typed.

    Returns:
        What it printed and logged. An error that ends it comes as ``SystemExit`` with its message.
    """
    import fairseq_plugin  # noqa: F401  (registers; instead of --user-dir)

    module = importlib.import_module(f"fairseq_cli.{command}")
    printed, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(printed), root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        with (
            mock.patch.object(sys, "argv", [f"fairseq-{command}", *map(str, words)]),
            mock.patch.object(sys, "stdin", io.StringIO(stdin)),
            contextlib.redirect_stdout(printed),
        ):
            module.cli_main()
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    return printed.getvalue()


def texts_of(results, kind="D", subset="valid"):
    """``{sample id: [last field of each line of this kind]}`` of a ``generate-SUBSET.txt``."""
    found = {}
    for line in (results / f"generate-{subset}.txt").read_text(encoding="utf-8").split("\n"):
        match = re.match(rf"{kind}-(\d+)\t(?:[^\t]*\t)?([^\t]*)$", line)
        if match:
            found.setdefault(int(match[1]), []).append(match[2])
    return found
