"""Files in UTF-16 and UTF-32 are named as what they are; UTF-8 of any script is not mistaken."""

import pytest

from fairseq_plugin.corpus.reading import TextFile
from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.records import read_records
from fairseq_plugin.text.wide import wide_encoding
from tests.text.random_texts import random_texts

TEXTS = [
    "sentence\tlabel\na good film\t1\n",
    "é à\t0\nß\t1\n" * 9,
    "фильм хороший\t1\n" * 9,
    "好 电影\t1\n" * 40,
]
ENCODINGS = ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("text", TEXTS, ids=["latin", "accents", "cyrillic", "chinese"])
def test_wide_encodings_are_named_with_the_mend(tmp_path, text, encoding):
    path = tmp_path / "t.tsv"
    path.write_bytes(text.encode(encoding))
    name = encoding.upper().replace("-LE", "LE").replace("-BE", "BE")
    for read in (lambda: list(read_records(path, "tsv", False)), lambda: list(TextFile(path).blocks())):
        with pytest.raises(UserError, match=rf"t.tsv is {name}; save it as UTF-8 \(iconv -f {name} -t"):
            read()


def test_utf8_is_not_mistaken():
    texts = [*TEXTS, *random_texts(2000, seed=5), "a\0b", "\0" * 40, "\0a" * 2 + "bcdefgh" * 9, ""]
    for text in texts:
        assert wide_encoding(text.encode("utf-8", errors="surrogatepass")) is None, text
    assert wide_encoding("naïve café".encode("latin-1")) is None
