"""``from fairseq_plugin import TextGenerator``: a text in, texts like it out.

Example::

    generator = TextGenerator.train("book.txt", minutes=6)
    generator.generate("It was a", num=3, top_p=0.9)
"""

import sys
import tempfile
from pathlib import Path

from fairseq_plugin.corpus.manifest import TextManifest
from fairseq_plugin.corpus.reading import PATTERN
from fairseq_plugin.errors import UserError, addressed_to_the_user
from fairseq_plugin.imitation.request import ImitationRequest
from fairseq_plugin.imitation.stages import ImitationStages, train_model
from fairseq_plugin.imitation.text_model import BEST, TextModel
from fairseq_plugin.python_names import arguments_named
from fairseq_plugin.sampling.draw import Sampling
from fairseq_plugin.sampling.request import BeamSearch, DecodingRequest
from fairseq_plugin.stages.stage import ROOT, Runner, require_scripts
from fairseq_plugin.storage.dictionary import EOS
from fairseq_plugin.storage.lock import FolderLock
from fairseq_plugin.storage.saved_model import CHECKPOINT, DATA, SavedKind

_KIND = SavedKind("TextGenerator")
_MAX_NEW = 100  # tokens, where nobody says how many
_NAMES = {"minutes": "minutes", "pattern": "pattern", "from": "pretrained", "pretrained-model": "pretrained",
          "gpt2-bpe": "pretrained", "gamma": "gamma", "seed": "seed", "to": "to"}  # fmt: skip


class TextGenerator:
    """Continues prompts; made by :meth:`load` or :meth:`train`.

    Args:
        model: the network and its tokenizer.
    """

    def __init__(self, model: TextModel) -> None:
        self._model = model
        self._folder: tempfile.TemporaryDirectory[str] | None = None  # of a training without ``to``

    # -- where it comes from -----------------------------------------------------------------------------

    @classmethod
    def load(cls, path: str | Path, data: str | Path | None = None, device: str = "cpu") -> "TextGenerator":
        """Read a model; nothing in it is run.

        Args:
            path: what :meth:`save` wrote; the folder of a run of ``imitate.sh``, or of :meth:`train`; a
                checkpoint of ``--task open_ended_generation``; or a GPT-2 folder of Hugging Face's form.
            data: of a checkpoint: the prepared text that it was trained on; None: what the checkpoint names.
            device: where to compute, ``"cpu"`` or ``"cuda"``.

        Raises:
            UserError: nothing there, or it is damaged.
        """
        path = Path(path)
        given = None if data is None else Path(data)
        with addressed_to_the_user(RuntimeError):  # a device that torch does not have
            if path.is_file():
                return cls(TextModel.from_checkpoint(path, given, device))
            if (path / _KIND.file_name).is_file():
                _KIND.load(path.absolute())
                return cls(TextModel.from_checkpoint(path / CHECKPOINT, path / DATA, device))
            if (path / "config.json").is_file():
                return cls(TextModel.from_hf_folder(path, device))
            for checkpoint in (path / BEST, path / "checkpoints" / BEST):
                if checkpoint.is_file():
                    return cls(TextModel.from_checkpoint(checkpoint, given, device))
        if not path.exists():
            raise UserError(f"there is no {path}; name a checkpoint, or the folder of a model")
        raise UserError(
            f"{path} holds no model: expected {_KIND.file_name} (saved), config.json (Hugging Face), {BEST} "
            f"or checkpoints/{BEST}"
        )

    @classmethod
    def train(
        cls,
        text: str | Path,
        minutes: float = 6.0,
        to: str | Path | None = None,
        pattern: str = PATTERN,
        pretrained: str | Path | None = None,
        gamma: float = 1.0,
        seed: int = 1,
        verbose: bool = True,
    ) -> "TextGenerator":
        """Learn a text, by the stages of ``imitate.sh``; the last tenth of it is for validation.

        Args:
            text: a UTF-8 file, or a folder.
            minutes: of training, > 0; preparing the text comes on top.
            to: folder for everything that is written: the same call goes on there after an interruption, and
                ``imitate.sh`` adds curves and samples. None: a temporary folder, which lives as long as the
                object.
            pattern: which files of a folder, as in a shell, several with commas.
            pretrained: folder of a GPT-2 in Hugging Face's form to go on from.
            gamma: of ScaleGrad, in (0, 1]; below 1 the text repeats itself less.
            seed: of the training.
            verbose: show commands and what they say.

        Raises:
            UserError: a text that cannot be used, an argument out of range, or a command that failed.
        """
        require_scripts()
        temporary = tempfile.TemporaryDirectory(prefix="generator-") if to is None else None
        folder = Path(temporary.name if temporary is not None else str(to)).absolute()
        request = ImitationRequest(
            Path(text), folder, pattern, minutes, None if pretrained is None else Path(pretrained), (), gamma,
            seed,
        )  # fmt: skip
        with arguments_named(_NAMES):
            request.check()
            folder.mkdir(parents=True, exist_ok=True)
            stages = ImitationStages(request)
            with FolderLock(folder / "imitate", flag="to", what=folder):
                train_model(stages, Runner(sys.stdout if verbose else None, folder / "steps"))
        made = cls(TextModel.from_checkpoint(ROOT / stages.checkpoint, ROOT / stages.data))
        made._folder = temporary
        return made

    # -- texts -------------------------------------------------------------------------------------------

    def generate(
        self,
        prompt: str = "",
        num: int = 1,
        max_new: int | None = None,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int = 1,
        num_beams: int = 0,
        repetition_penalty: float = 1.0,
        no_repeat_ngram: int = 0,
        min_new: int = 0,
    ) -> list[str]:
        """Texts that begin with a prompt.

        The same arguments give the same texts, and more of them begin with the fewer.

        Args:
            prompt: any text; empty: the beginning of a text.
            num: how many, >= 1.
            max_new: tokens after the prompt, at most; None: 100, or as many as the model has room for.
            temperature: in [0.001, 1000]; below 1 texts are more usual; 0: the most probable token each time.
            top_k: draw from the most probable tokens only; 0: from all.
            top_p: draw from the fewest tokens that together are so probable, in (0, 1].
            seed: of the draws, in [0, 2^64).
            num_beams: beam search instead of draws, for the ``num`` most probable texts; 0: none.
            repetition_penalty: CTRL's, in [1, 100]; 1: none.
            no_repeat_ngram: no sequence of so many tokens comes twice; 0: any may.
            min_new: tokens before which a text does not end, in [0, max_new].

        Returns:
            ``num`` texts, each with the prompt in front.

        Raises:
            UserError: an argument out of range, or a prompt that leaves no room.
        """
        if not isinstance(prompt, str):
            raise UserError(f"prompt {prompt!r}: give a text (str)")
        if num < 1:
            raise UserError(f"num {num} must be at least 1")
        tokens = self._model.encode(prompt)
        max_new = self._room(len(tokens), max_new)
        if not num_beams and temperature == 0 and num > 1:
            raise UserError(f"num {num}: temperature 0 gives one text only; give num=1, or a temperature")
        if 0 < num_beams < num:
            raise UserError(
                f"num {num}: num_beams {num_beams} gives no more than so many texts; give more beams"
            )
        with addressed_to_the_user(ValueError):
            method = BeamSearch(num_beams) if num_beams else Sampling(temperature, top_k, top_p)
            request = DecodingRequest(
                method, end=EOS, max_new=max_new, min_new=min_new, seed=seed,
                samples_per_prompt=1 if num_beams else num,
                no_repeat_ngram=no_repeat_ngram, repetition_penalty=repetition_penalty,
            )  # fmt: skip
        return [prompt + text for text in self._model.continuations(tokens, request)[:num]]

    def _room(self, num_read: int, max_new: int | None) -> int:
        """How many new tokens are asked for."""
        room = self._model.positions - num_read
        if room < 1:
            raise UserError(
                f"a prompt of {num_read} tokens fills the model's {self._model.positions} positions; give "
                "a shorter one"
            )
        if max_new is not None and max_new > room:
            raise UserError(
                f"max_new {max_new}: the model's {self._model.positions} positions leave room for {room} "
                f"tokens after this prompt of {num_read}; give max_new={room} or less, or a shorter prompt"
            )
        return min(room, _MAX_NEW) if max_new is None else max_new

    # -- on disk -----------------------------------------------------------------------------------------

    def save(self, path: str | Path, overwrite: bool = False) -> None:
        """Write a folder that :meth:`load` reads: the checkpoint and the prepared text, whole or not at all.

        Args:
            path: of the folder.
            overwrite: replace a saved TextGenerator.

        Raises:
            UserError: something is there already, it cannot be written, or the model is a Hugging Face
                folder, which needs no saving.
        """
        checkpoint, data = self._model.checkpoint, self._model.data
        if checkpoint is None or data is None:
            raise UserError("save: this model is a Hugging Face folder; load it from there, or copy it")
        _KIND.save(path, {}, data, TextManifest.load(data).files, checkpoint, overwrite)
