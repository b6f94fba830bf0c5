"""Which id of GPT-2's embedding table belongs to which symbol of a fairseq dictionary.

A symbol is a token id in decimal ("464"); ``</s>`` is GPT-2's ``<|endoftext|>``. Everything else that a
dictionary holds (``<s>``, ``<pad>``, ``<unk>``, ``madeupword0001``) is unknown to GPT-2.
"""

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from fairseq_plugin.errors import UserError
from fairseq_plugin.text.base import Codec

# The order in which fairseq puts its own symbols before those of dict.txt.
SPECIAL_SYMBOLS: tuple[str, ...] = ("<s>", "<pad>", "</s>", "<unk>")
GPT2_END_ID = 50256
# What fairseq may put behind them: symbols that fill a table up, and the mask of its sentence_prediction.
_PADDING_SYMBOL = re.compile(r"madeupword\d+|<mask>")
_COUNT = re.compile(r"[-+]?[0-9]+")
_TOKEN_ID = re.compile(r"0|[1-9][0-9]{0,8}")


def token_id(symbol: str) -> int | None:
    """The token id that a symbol stands for, or ``None``."""
    return int(symbol) if _TOKEN_ID.fullmatch(symbol) else None


def read_symbols(path: str | os.PathLike[str]) -> list[str]:
    """The symbols of a ``dict.txt`` in fairseq's order, its four special ones first.

    Raises:
        UserError: no such file, not UTF-8, a line without a count, or a symbol that is there twice.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"there is no dictionary {path}; name a folder written by prepare_labelled.py")
    symbols = list(SPECIAL_SYMBOLS)
    try:
        lines = path.read_bytes().decode("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise UserError(f"{path} is damaged: {reason}; prepare the data again") from error
    known = set(symbols)
    for number, line in enumerate(lines, 1):
        fields = line.rstrip("\r").split(" ")
        if fields == [""]:
            continue
        if len(fields) < 2 or not _COUNT.fullmatch(fields[1]):
            raise UserError(f"{path}, line {number}: expected 'symbol count', found {line[:40]!r}")
        if fields[0] in known and fields[2:] != ["#fairseq:overwrite"]:
            raise UserError(f"{path}, line {number}: the symbol {fields[0]!r} is there twice")
        known.add(fields[0])
        symbols.append(fields[0])
    return symbols


def guess_end_id(symbols: Sequence[str]) -> int | None:
    """50256 for a dictionary of GPT-2's own ids, ``None`` otherwise; for tasks that do not know."""
    ids = {number for symbol in symbols if (number := token_id(symbol)) is not None}
    # 50,000 and not 50,257: a dictionary may have left out ids that its data never showed.
    return GPT2_END_ID if len(ids) >= 50_000 and max(ids) in (GPT2_END_ID - 1, GPT2_END_ID) else None


def banned_symbols(symbols: Sequence[str], num_special: int, eos: int, end_id: int | None) -> list[int]:
    """Indices of the symbols that must never get any probability.

    Args:
        symbols: the dictionary's symbols in order.
        num_special: how many at the front are fairseq's own.
        eos: index of ``</s>``, which is never banned.
        end_id: token id that ``</s>`` stands for; a second symbol for it is banned. ``None``: it has none.

    Returns:
        The indices, sorted.
    """
    second_end = None if end_id is None else str(end_id)
    return [
        index
        for index, symbol in enumerate(symbols)
        if index != eos and (index < num_special or symbol == second_end or _PADDING_SYMBOL.fullmatch(symbol))
    ]


def fingerprint(symbols: Sequence[str], codec: Codec | None = None) -> list[int]:
    """Five integers below 2**31 by which two dictionaries can be told apart.

    Args:
        symbols: of the dictionary, in order.
        codec: the tokenizer whose ids they are; None: not known.

    Returns:
        The number of symbols, two numbers of a hash over them, two of a hash over what the ids stand for: two
        tokenizers of one size have the same symbols. The last two are 0 without a codec.
    """
    hashes = [
        hashlib.sha256("\n".join(symbols).encode("utf-8")).digest(),
        codec.digest() if codec else bytes(8),
    ]
    numbers = (int.from_bytes(digest[i : i + 4], "big") >> 1 for digest in hashes for i in (0, 4))
    return [len(symbols), *numbers]


@dataclass(frozen=True)
class TableMap:
    """The ids of a pretrained table for the symbols of a dictionary.

    Attributes:
        ids: int64 ``(num_symbols,)``, the id of each symbol, -1 where it has none.
        num_ids: in the table.
        without_id: symbols that have no id.
        without_symbol: ids that no symbol uses.
    """

    ids: torch.Tensor
    num_ids: int
    without_id: list[str]
    without_symbol: list[int]

    def summary(self) -> str:
        """What became of every id and symbol, in one sentence."""
        used = self.num_ids - len(self.without_symbol)
        text = f"{used:,} of {self.num_ids:,} embedding rows have a symbol"
        if self.without_symbol:
            text += f"; {len(self.without_symbol):,} have none and are left out"
            text += f" (ids {_some(self.without_symbol)})"
        if self.without_id:
            text += (
                f"; {len(self.without_id)} symbols have no row and start at zero ({_some(self.without_id)})"
            )
        return text


def map_table(symbols: Sequence[str], eos: int, end_id: int, num_ids: int) -> TableMap:
    """Match ids and symbols, every one of them.

    Args:
        symbols: the dictionary's symbols in order.
        eos: index of ``</s>``.
        end_id: the table's id of ``<|endoftext|>``.
        num_ids: in the table.

    Raises:
        UserError: the dictionary has token ids beyond the table, or none at all.
    """
    ids = [token_id(symbol) for symbol in symbols]
    ids[eos] = end_id
    beyond = [i for i in ids if i is not None and i >= num_ids]
    if beyond:
        raise UserError(
            f"--pretrained-model: the dictionary has {len(beyond):,} token ids beyond the model's "
            f"{num_ids:,} rows ({_some(beyond)}): it belongs to another tokenizer; prepare the data with the "
            "model's own"
        )
    if sum(i is not None for i in ids) < 2:
        raise UserError(
            f"--pretrained-model: the dictionary's symbols ({_some(symbols[len(SPECIAL_SYMBOLS) :])}) are "
            "not token ids; encode the data with GPT-2's tokenizer first (scripts/prepare_labelled.py)"
        )
    used = set(ids)
    return TableMap(
        ids=torch.tensor([-1 if i is None else i for i in ids]),
        num_ids=num_ids,
        without_id=[symbol for symbol, i in zip(symbols, ids, strict=True) if i is None],
        without_symbol=[i for i in range(num_ids) if i not in used],
    )


def _some(items: Sequence[object], most: int = 5) -> str:
    shown = ", ".join(str(item) for item in items[:most])
    return shown + (", ..." if len(items) > most else "")
