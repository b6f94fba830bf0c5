"""``--from`` of a table: the tokenizer and the sizes of a GPT-2 folder, and what fits them."""

from dataclasses import dataclass, replace

from fairseq_plugin.checksums import read_checksums
from fairseq_plugin.errors import UserError
from fairseq_plugin.pretrained.hf_config import CONFIG_NAME, read_config
from fairseq_plugin.pretrained.hf_folder import check_folder, read_sizes
from fairseq_plugin.tables.code.pieces import Pieces
from fairseq_plugin.tables.code.rows import RowCode, not_a_cell
from fairseq_plugin.tables.reading import TableFile
from fairseq_plugin.tables.schema import TEXT, Schema
from fairseq_plugin.text.base import Codec
from fairseq_plugin.text.codec import load_codec


@dataclass(frozen=True)
class Vocabulary:
    """What a prepared table takes over from a folder.

    Attributes:
        folder: for messages.
        codec: its tokenizer.
        positions: the longest text that its network reads.
    """

    folder: str
    codec: Codec
    positions: int

    @classmethod
    def of(cls, folder: str) -> "Vocabulary":
        """Read a Hugging Face GPT-2 folder; no weight is read.

        Raises:
            UserError: no such folder, another model, no weights, or a tokenizer that is not the model's.
        """
        check_folder(folder, "--from")
        sizes = read_sizes(folder)
        config, codec = read_config(folder, read_checksums(folder)), load_codec(folder)
        if codec.kind != "gpt2":
            raise UserError(f"--from {folder} holds a {codec.kind} tokenizer, not GPT-2's byte-level BPE")
        if (codec.num_ids, codec.end_id) != (config.vocab_size, config.eos_token_id):
            raise UserError(
                f"--from {folder}: {CONFIG_NAME} tells of {config.vocab_size:,} tokens with the end at "
                f"{config.eos_token_id}, its tokenizer has {codec.num_ids:,} with the end at {codec.end_id}: "
                "fetch or export the folder again"
            )
        return cls(folder, codec, sizes["n_positions"])

    def check_fits(self, code: RowCode) -> None:
        """Refuse rows that the network could not read.

        Raises:
            UserError: the longest possible row has more symbols than there are positions.
        """
        if code.longest <= self.positions:
            return
        longest, name = max((column.longest, name) for column, name in zip(code.codes, code.names))
        raise UserError(
            f"--from {self.folder}: its GPT-2 has {self.positions:,} positions, but the longest row can have "
            f"{code.longest:,} symbols, {longest:,} of them in column {name!r}: shorten its cells, leave it "
            f"out (--type {name}=drop), or give a model with more positions"
        )


def with_token_bounds(schema: Schema, table: TableFile, vocabulary: Vocabulary) -> Schema:
    """A schema whose columns of texts are bounded in tokens: by ``max_tokens`` where it is given, else by
    their longest cell. ``max_bytes`` is then no bound of theirs any more.

    Args:
        schema: of the table.
        table: what it is counted in; its own cells keep to ``max_bytes``.
        vocabulary: the tokens.

    Raises:
        UserError: a cell with more bytes than ``max_bytes``; names line, column and the mend.
    """
    places = [place for place, one in enumerate(schema.columns) if one.type == TEXT and not one.max_tokens]
    if not places:
        return schema
    pieces, most = Pieces(vocabulary.codec), dict.fromkeys(places, 1)
    for rows, lines in table.chunks():
        for place in places:
            column = schema.columns[place]
            for row, line in zip(rows, lines):
                cell = row[place]
                if column.is_missing(cell):
                    continue
                numbers = pieces.split(cell)
                if numbers is None or len(cell.encode("utf-8")) > column.max_bytes:
                    raise UserError(f"{table.path} line {line}: {not_a_cell(column, cell)}")
                most[place] = max(most[place], len(numbers))
    columns = list(schema.columns)
    for place in places:
        columns[place] = replace(columns[place], max_bytes=0, max_tokens=most[place])
    return replace(schema, columns=tuple(columns))
