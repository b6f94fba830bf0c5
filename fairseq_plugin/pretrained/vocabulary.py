"""Which row of GPT-2's embedding table belongs to which symbol of a fairseq dictionary.

A symbol is a token id in decimal ("464"); ``</s>`` is GPT-2's ``<|endoftext|>``. Everything else that a
dictionary holds (``<s>``, ``<pad>``, ``<unk>``, ``madeupword0001``) is unknown to GPT-2.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import torch

from fairseq_plugin.errors import UserError

# The order in which fairseq puts its own symbols before those of dict.txt.
SPECIAL_SYMBOLS = ("<s>", "<pad>", "</s>", "<unk>")
GPT2_END_ID = 50256
# What fairseq may put behind them: rows that fill a table up, and the mask of its sentence_prediction.
_PADDING_SYMBOL = re.compile(r"madeupword\d+|<mask>")
_TOKEN_ID = re.compile(r"0|[1-9][0-9]{0,8}")


def token_id(symbol):
    """The token id that a symbol stands for, or ``None``."""
    return int(symbol) if _TOKEN_ID.fullmatch(symbol) else None


def read_symbols(path):
    """The symbols of a ``dict.txt`` in fairseq's order, its four special ones first.

    Raises:
        UserError: no such file, or a line without a count.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"there is no dictionary {path}; name a folder written by prepare_labelled.py")
    symbols = list(SPECIAL_SYMBOLS)
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        fields = line.rstrip("\r").split(" ")
        if fields == [""]:
            continue
        if len(fields) < 2:
            raise UserError(f"{path}, line {number}: expected 'symbol count', found {line[:40]!r}")
        symbols.append(fields[0])
    return symbols


def guess_end_id(symbols):
    """50256 for a dictionary of GPT-2's own ids, ``None`` otherwise; for tasks that do not know."""
    ids = {token_id(symbol) for symbol in symbols} - {None}
    # 50,000 and not 50,257: a dictionary may have left out ids that its data never showed.
    return GPT2_END_ID if len(ids) >= 50_000 and max(ids) in (GPT2_END_ID - 1, GPT2_END_ID) else None


def banned_columns(symbols, num_special, eos, end_id):
    """Columns of the vocabulary that must never get any probability.

    Args:
        symbols: the dictionary's symbols in order.
        num_special: how many at the front are fairseq's own.
        eos: index of ``</s>``, which is never banned.
        end_id: token id that ``</s>`` stands for; a second symbol for it is banned. ``None``: it has none.

    Returns:
        Sorted list of indices.
    """
    second_end = None if end_id is None else str(end_id)
    return [
        index
        for index, symbol in enumerate(symbols)
        if index != eos and (index < num_special or symbol == second_end or _PADDING_SYMBOL.fullmatch(symbol))
    ]


def fingerprint(symbols, codec=None):
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


@dataclass
class RowMap:
    """The rows of a pretrained table for the symbols of a dictionary.

    Args:
        rows: int64 ``(num_symbols,)``, the row of each symbol, -1 where it has none.
        num_rows: rows of the table.
        without_row: symbols that have no row.
        without_symbol: rows that no symbol uses.
    """

    rows: torch.Tensor
    num_rows: int
    without_row: list
    without_symbol: list

    def summary(self):
        """What became of every row and symbol, in one sentence."""
        used = self.num_rows - len(self.without_symbol)
        text = f"{used:,} of {self.num_rows:,} embedding rows have a symbol"
        if self.without_symbol:
            text += f"; {len(self.without_symbol):,} have none and are left out"
            text += f" (ids {_some(self.without_symbol)})"
        if self.without_row:
            text += (
                f"; {len(self.without_row)} symbols have no row and start at zero ({_some(self.without_row)})"
            )
        return text


def map_rows(symbols, eos, end_row, num_rows):
    """Match rows and symbols, every one of them.

    Args:
        symbols: the dictionary's symbols in order.
        eos: index of ``</s>``.
        end_row: the table's row of ``<|endoftext|>``.
        num_rows: rows of the table.

    Raises:
        UserError: the dictionary has token ids beyond the table, or none at all.
    """
    ids = [token_id(symbol) for symbol in symbols]
    ids[eos] = end_row
    beyond = [i for i in ids if i is not None and i >= num_rows]
    if beyond:
        raise UserError(
            f"--pretrained-model: the dictionary has {len(beyond):,} token ids beyond the model's "
            f"{num_rows:,} rows "
            f"({_some(beyond)}): it belongs to another tokenizer; prepare the data with the model's own"
        )
    if sum(i is not None for i in ids) < 2:
        raise UserError(
            f"--pretrained-model: the dictionary's symbols ({_some(symbols[len(SPECIAL_SYMBOLS) :])}) are "
            "no token "
            "ids; encode the data with GPT-2's tokenizer first (scripts/prepare_labelled.py)"
        )
    used = set(ids)
    return RowMap(
        rows=torch.tensor([-1 if i is None else i for i in ids]),
        num_rows=num_rows,
        without_row=[symbol for symbol, i in zip(symbols, ids, strict=True) if i is None],
        without_symbol=[row for row in range(num_rows) if row not in used],
    )


def _some(items, most=5):
    shown = ", ".join(str(item) for item in items[:most])
    return shown + (", ..." if len(items) > most else "")
