"""What each symbol of a table stands for, as text: with it a network that knows language begins.

a category                   its value: " Amsterdam"; of several, in a tree, each of them
a branch of numbers          the middle value of its range: " 12.5"; of several ranges, each of them
a digit                      "7"
a missing cell               its mark: " NA"; " missing" where nothing is written
rare categories              " other"
the marker of a column       its name
a token, or byte, of a text  itself
the end of a row, of a text  the tokenizer's end of text
"""

from fairseq_plugin.storage.dictionary import EOS
from fairseq_plugin.tables.code.rows import RANDOM, RowCode
from fairseq_plugin.tables.code.texts import SHARED_MARKS


def texts_of_symbols(code: RowCode) -> dict[int, list[str]]:
    """The texts of the symbols that are no tokens; neither of the ends nor of the four specials."""
    texts: dict[int, list[str]] = {}
    if code.order_kind == RANDOM:
        texts |= {first: [name] for first, name in zip(code.first_symbol, code.names)}
    for column in code.codes:
        for symbol, text in column.texts():
            texts.setdefault(symbol, []).append(text)
    return texts


def ids_of_symbols(code: RowCode, end_id: int) -> list[list[list[int]]]:
    """For every symbol, the tokens of each text that it stands for; none for what stands for no text.

    Args:
        code: with a tokenizer.
        end_id: its end of text.
    """
    assert code.codec is not None
    found: list[list[list[int]]] = [[] for _ in range(code.num_symbols)]
    found[EOS] = [[end_id]]
    for symbol, texts in texts_of_symbols(code).items():
        found[symbol] = code.codec.encode_batch(texts)
    if code.first_shared < code.num_symbols:
        missing, end = range(code.first_shared, code.first_shared + SHARED_MARKS)
        found[missing], found[end] = code.codec.encode_batch([" missing"]), [[end_id]]
        found[code.first_shared + SHARED_MARKS :] = [[[token]] for token in code.pieces.ids]
    return found
