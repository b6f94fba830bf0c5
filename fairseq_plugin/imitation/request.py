"""What to imitate: the arguments of ``scripts/imitate.sh`` and of ``TextGenerator.train``."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fairseq_plugin.corpus.reading import PATTERN
from fairseq_plugin.errors import UserError
from fairseq_plugin.text.one_line import escape


@dataclass(frozen=True)
class ImitationRequest:
    """What to imitate.

    Attributes:
        text: a UTF-8 file, or a folder of them.
        to: folder for everything that is written.
        pattern: names of the files of a folder, as in a shell, several with commas.
        minutes: of training, > 0.
        pretrained: folder of a GPT-2 in Hugging Face's form to go on from; None: from scratch.
        prompts: what samples begin with; none: a new paragraph, and the first line of the validation text.
        gamma: of ScaleGrad, in (0, 1]; 1 is maximum likelihood.
        seed: of the training and of the samples.
    """

    text: Path
    to: Path
    pattern: str = PATTERN
    minutes: float = 15.0
    pretrained: Path | None = None
    prompts: Sequence[str] = ()
    gamma: float = 1.0
    seed: int = 1

    def check(self) -> None:
        """Refuse what cannot be meant, before anything is written.

        Raises:
            UserError: naming the flag, its value and the mend.
        """
        if not self.text.exists():
            raise UserError(f"there is no file {self.text}; name a UTF-8 text, or a folder of texts")
        if not (math.isfinite(self.minutes) and self.minutes > 0):
            raise UserError(f"--minutes {self.minutes:g} must be a number above 0")
        if not 0 < self.gamma <= 1:
            raise UserError(f"--gamma {self.gamma:g} must be in (0, 1]; 1 is maximum likelihood")
        for prompt in self.prompts:
            if not escape(prompt).strip():
                raise UserError(f"--prompt {prompt!r} is empty; leave it out, or write \\n for a line's end")
        if not 0 <= self.seed < 2**32:
            raise UserError(f"--seed {self.seed} must be between 0 and 2^32 - 1")
        if self.pretrained is not None and not self.pretrained.is_dir():
            raise UserError(f"--from {self.pretrained} is not a folder")

    @property
    def name(self) -> str:
        """Of the text, for titles: ``shakespeare/input.txt`` -> ``shakespeare``."""
        return name_of(self.text)


def name_of(text: Path) -> str:
    """A text's own name, or its folder's where the file is called ``input.txt``."""
    text = text.absolute()
    return text.parent.name if text.name == "input.txt" else text.stem if text.is_file() else text.name
