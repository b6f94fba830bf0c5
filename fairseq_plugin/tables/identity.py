"""What a checkpoint keeps of its table, to know it again."""

import json
from collections.abc import Mapping, Sequence

from fairseq_plugin.storage.data_identity import digest, identity
from fairseq_plugin.tables.code.rows import RowCode


def identity_of(code: RowCode, symbols: Sequence[str], files: Mapping[str, str]) -> dict[str, object]:
    """See :func:`fairseq_plugin.storage.data_identity.identity`: the code takes the tokenizer's place."""
    plain = json.loads(json.dumps(code.to_json()))
    return identity(symbols, bytes.fromhex(digest(plain)), files)
