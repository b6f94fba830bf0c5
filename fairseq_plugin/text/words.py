"""What is a word, in any script.

A run of letters and digits is a word, with the marks on them (vowel signs of Hindi, say) and the joiners
between them; so is every other visible character, an emoji with what modifies it. In scripts without spaces
between words (Chinese, Japanese, Thai, ...) each character is a word.
"""

import re
import unicodedata
from collections.abc import Sequence
from itertools import groupby

# CJK marks 々〆〇, kana, bopomofo, Han, half-width kana; Thai, Lao, Tibetan, Myanmar, Khmer.
_UNSPACED = (
    "\u3005-\u3007\u3040-\u312f\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff\uff66-\uff9f"
    "\U00020000-\U0003134f\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff"
)
_JOINERS = "\u200c\u200d"
_SKIN_TONES = "\U0001f3fb-\U0001f3ff"
_LAST_MARK = 0x1133F  # of those looked for: the scripts of living languages lie before it


def _marks() -> str:
    """Combining marks, as ranges of a character class."""
    codes = [code for code in range(0x300, _LAST_MARK) if unicodedata.category(chr(code))[0] == "M"]
    runs = [[code for _, code in run] for _, run in groupby(enumerate(codes), lambda one: one[1] - one[0])]
    return "".join(f"{chr(run[0])}-{chr(run[-1])}" for run in runs)


_M = _marks()
_WORD = re.compile(
    f"[{_UNSPACED}][{_M}]*"
    f"|[^\\W{_UNSPACED}](?:[{_M}{_JOINERS}]*[^\\W{_UNSPACED}])*[{_M}]*"
    f"|[^\\w\\s](?:[{_M}{_SKIN_TONES}]|\u200d[^\\w\\s])*"
)
_UNSPACED_CHARACTER = re.compile(f"[{_UNSPACED}]")


def folded_key(text: str) -> str:
    """Compare texts without regard to upper and lower case and to the amount of white space."""
    return " ".join(text.casefold().split())


def words(text: str) -> list[str]:
    """The words of a text, without regard to case.

    >>> words("It's GOOD!")
    ['it', "'", 's', 'good', '!']
    >>> words("好电影 ok")
    ['好', '电', '影', 'ok']
    """
    return words_as_written(text.casefold())


def words_as_written(text: str) -> list[str]:
    """The words of a text; only white space is left out."""
    return _WORD.findall(text)


def has_spaces(texts: Sequence[str]) -> bool:
    """Whether most letters of some texts are of scripts that have spaces between words."""
    letters = unspaced = 0
    for text in texts:
        letters += sum(map(str.isalpha, text))
        unspaced += len(_UNSPACED_CHARACTER.findall(text))
    return 2 * unspaced <= letters
