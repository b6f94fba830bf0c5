"""What free text is written in: its bytes, or the tokens of GPT-2's vocabulary.

Either way there are whole pieces, each of them valid UTF-8 (ASCII characters; tokens that begin and end with
a character), then first bytes of characters of 2, of 3, of 4 bytes, then bytes that follow. A token that is
not whole is written as its bytes, so that every text has its pieces and every sequence of pieces that the
automaton allows is a text.
"""

from fairseq_plugin.text.base import Codec

# First bytes by the length of their character, as in Unicode's table 3-7.
FIRSTS = {2: range(0xC2, 0xE0), 3: range(0xE0, 0xF0), 4: range(0xF0, 0xF5)}
# After these, the second byte has a narrower range than 80 .. BF.
SECONDS = {0xE0: (0xA0, 0xBF), 0xED: (0x80, 0x9F), 0xF0: (0x90, 0xBF), 0xF4: (0x80, 0x8F)}
_SINGLE = [
    bytes([byte]) for byte in [*(byte for firsts in FIRSTS.values() for byte in firsts), *range(0x80, 0xC0)]
]


class Pieces:
    """See the module.

    Args:
        codec: a byte-level BPE; None: bytes.

    Attributes:
        content: the bytes of each piece, in the order of their numbers.
        num_whole: how many of the first ones are whole.
        ids: of the codec, the token of each piece; empty for bytes.
    """

    def __init__(self, codec: Codec | None = None) -> None:
        self._codec = codec
        self.ids: list[int] = []
        if codec is None:
            whole = [bytes([byte]) for byte in range(0x80)]
        else:
            contents = [codec.join([token]) for token in range(codec.num_ids)]
            token_of = {content: token for token, content in enumerate(contents)}
            whole = [content for content in contents if content and _is_whole(content)]
            self.ids = [token_of[content] for content in [*whole, *_SINGLE]]
        self.content, self.num_whole = [*whole, *_SINGLE], len(whole)
        self._number_of = {content: number for number, content in enumerate(self.content)}
        self._lengths = sorted(set(map(len, whole)))
        # The pieces of each token: itself, or its bytes. Bytes that no text has are in no text's tokens.
        self._of_id = [] if codec is None else [self._of_token(content) for content in contents]

    def _of_token(self, content: bytes) -> list[int]:
        whole = self._number_of.get(content)
        return [self._number_of.get(bytes([byte]), -1) for byte in content] if whole is None else [whole]

    def split(self, text: str) -> list[int] | None:
        """The pieces of a text, by their numbers; None for what is not Unicode (half of a surrogate pair)."""
        if self._codec is not None:
            (ids,) = self._codec.try_encode_batch([text])
            return None if ids is None else [number for token in ids for number in self._of_id[token]]
        try:
            return [self._number_of[bytes([byte])] for byte in text.encode("utf-8")]
        except UnicodeEncodeError:
            return None

    def shortest(self, text: str, most: int) -> list[int] | None:
        """The fewest pieces of a text; None where they are more than ``most``.

        A tokenizer's own are sometimes more: a text that was drawn within a bound keeps it when it is read.
        """
        content = text.encode("utf-8")
        if len(content) > most * self._lengths[-1]:
            return None
        fewest = [0, *[len(content) + 1] * len(content)]  # pieces before each byte
        last = [-1] * (len(content) + 1)  # of these, the last one
        for at, before in enumerate(fewest):
            for length in self._lengths:
                number, end = self._number_of.get(content[at : at + length]), at + length
                if number is not None and end <= len(content) and before + 1 < fewest[end]:
                    fewest[end], last[end] = before + 1, number
        if fewest[-1] > most:
            return None
        numbers, end = [], len(content)
        while end:
            numbers.append(last[end])
            end -= len(self.content[last[end]])
        return numbers[::-1]


def _is_whole(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
