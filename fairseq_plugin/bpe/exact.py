"""``--bpe exact``: any codec of this plugin on the stock commands, with an exact round trip."""

from dataclasses import dataclass, field

from fairseq.data.encoders import register_bpe
from fairseq.dataclass import FairseqDataclass

from fairseq_plugin.errors import UserError, plain_errors
from fairseq_plugin.text.codec import load_codec
from fairseq_plugin.text.one_line import CodecBpe


@dataclass
class ExactBPEConfig(FairseqDataclass):
    """Flags of ``--bpe exact``."""

    codec_path: str = field(
        default="",
        metadata={
            "help": "where the tokenizer is: a prepared data folder, a folder with GPT-2's encoder.json "
            "+ vocab.bpe, or a sentencepiece .model file"
        },
    )


@register_bpe("exact", dataclass=ExactBPEConfig)
class ExactBPE(CodecBpe):
    """Text <-> decimal ids joined by spaces, such as ``"464 3807"``."""

    @plain_errors()
    def __init__(self, cfg: ExactBPEConfig) -> None:
        if not cfg.codec_path:
            raise UserError("--bpe exact needs --codec-path DIR, such as the prepared data folder")
        super().__init__(load_codec(cfg.codec_path))

    @plain_errors()
    def encode(self, x: str) -> str:
        """Ids of a text; a text that cannot be written exactly ends the command with one line."""
        return super().encode(x)

    def is_beginning_of_word(self, x: str) -> bool:
        """Whether a symbol begins with a space; fairseq's whole-word masking asks."""
        return self.decode(x).startswith(" ")
