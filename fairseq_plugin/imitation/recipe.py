"""How a text of some size is learnt: model, batches, and how many updates fit into the time.

The file ``recipe`` of a run keeps what was decided when it began, a name and a value per line: the run goes
on with that, on whatever machine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fairseq_plugin.errors import UserError
from fairseq_plugin.files import atomic_write
from fairseq_plugin.imitation.request import ImitationRequest
from fairseq_plugin.stages.stage import ROOT

CONTEXT = 128  # tokens
LEAST_UPDATES = 25
ENOUGH_UPDATES = 400  # with fewer, a smaller network learns more in the same time
_LEAST_VALIDATIONS, _VALIDATIONS_A_MINUTE = 3, 10  # each writes samples, too: in a short time they are dear
TRAINING_SHARE = 0.9  # of the time; the rest is for validations and samples


@dataclass(frozen=True)
class Sizes:
    """What the size of a text decides, and the speed of the machine.

    Attributes:
        layers, heads, width: of the GPT-2; None with a pretrained one.
        vocab_size: ids of the tokenizer; None: GPT-2's own.
        dropout, lr, decay: of the training.
        batch: blocks of ``CONTEXT`` tokens an update.
        passes: over the text, at most.
        validations: over the whole training.
        patience: validations without a better loss after which it ends.
    """

    layers: int | None
    heads: int | None
    width: int | None
    vocab_size: int | None
    dropout: float
    lr: float
    batch: int
    passes: int = 40
    decay: float = 0.1
    validations: int = 25
    patience: int = 5

    def most_updates(self, num_tokens: int) -> float:
        """Updates of the most passes that make sense over a text of so many tokens."""
        return self.passes * num_tokens / (self.batch * CONTEXT)


_PRETRAINED = Sizes(
    None, None, None, None, 0.1, 5e-5, batch=8, passes=3, decay=0.01, validations=6, patience=2
)
_FROM_SCRATCH = (  # (bytes of text below which they hold, sizes from the largest to the smallest)
    (300_000, (Sizes(4, 4, 128, 512, 0.3, 2e-3, batch=8),)),
    (
        5_000_000,
        (
            Sizes(6, 4, 256, 1000, 0.2, 2e-3, batch=16),
            Sizes(4, 4, 128, 1000, 0.1, 2e-3, batch=8),
            Sizes(2, 4, 128, 1000, 0.0, 3e-3, batch=8),
        ),
    ),
    (
        float("inf"),
        (
            Sizes(6, 6, 384, 4000, 0.1, 1e-3, batch=16),
            Sizes(6, 4, 256, 4000, 0.1, 2e-3, batch=16),
            Sizes(2, 4, 128, 4000, 0.0, 3e-3, batch=8),
        ),
    ),
)


def sizes_for(num_bytes: int, is_pretrained: bool) -> tuple[Sizes, ...]:
    """The sizes for a text, the largest first: smaller ones are for slow machines and short times.

    >>> [sizes.layers for sizes in sizes_for(1_000_000, False)]
    [6, 4, 2]
    """
    if is_pretrained:
        return (_PRETRAINED,)
    return next(sizes for below, sizes in _FROM_SCRATCH if num_bytes < below)


@dataclass(frozen=True)
class Recipe:
    """What a run was begun with.

    Attributes:
        updates: of the training, at most.
        every: updates between validations.
        warmup: updates over which the learning rate rises.
    """

    updates: int
    every: int
    warmup: int

    @classmethod
    def fit(cls, sizes: Sizes, num_tokens: int, speed: float, minutes: float) -> "Recipe":
        """As many updates as fit into the time, and passes that make sense.

        Args:
            sizes: of the model and its batches.
            num_tokens: of the training split.
            speed: updates a second.
            minutes: of training.
        """
        most = sizes.most_updates(num_tokens)
        updates = max(LEAST_UPDATES, int(min(most, TRAINING_SHARE * 60 * minutes * speed)))
        validations = min(sizes.validations, max(_LEAST_VALIDATIONS, int(_VALIDATIONS_A_MINUTE * minutes)))
        every = -(-updates // validations)
        return cls(updates, every, updates // 20 + 1 if updates // 20 < 100 else 100)

    def is_enough(self, sizes: Sizes, num_tokens: int) -> bool:
        """Whether so many updates do for a network of these sizes."""
        return self.updates >= min(ENOUGH_UPDATES, int(sizes.most_updates(num_tokens)))

    def save(self, path: Path, request: ImitationRequest, sizes: Sizes) -> None:
        """Write the file."""
        stated = {**vars(self), **begun_with(request), **_model(sizes), "dropout": sizes.dropout}
        with atomic_write(path) as stream:
            for name, value in stated.items():
                stream.write(f"{name} {'' if value is None else value}\n")

    @classmethod
    def load(cls, path: Path) -> "Recipe":
        """Read the file.

        Raises:
            UserError: it is damaged.
        """
        stated = _stated(path)
        try:
            return cls(*(int(stated[name]) for name in ("updates", "every", "warmup")))
        except (KeyError, ValueError) as error:
            raise UserError(f"{path} is damaged ({error}); remove it, or name another --to") from error


def _model(sizes: Sizes) -> dict[str, int | None]:
    """What tells the networks of a text apart."""
    return {"layers": sizes.layers, "width": sizes.width, "heads": sizes.heads}


def chosen_sizes(path: Path, candidates: Sequence[Sizes]) -> Sizes:
    """The sizes that a run was begun with; the largest where nothing is begun.

    Args:
        path: of the recipe.
        candidates: see :func:`sizes_for`.
    """
    if not path.is_file():
        return candidates[0]
    stated = _stated(path)
    for sizes in candidates:
        if all(
            stated.get(name, "") == ("" if one is None else str(one)) for name, one in _model(sizes).items()
        ):
            return sizes
    return candidates[0]  # older runs tell less


def begun_with(request: ImitationRequest) -> dict[str, str]:
    """The settings that a run keeps, by the names of their flags."""
    pretrained = "" if request.pretrained is None else str(request.pretrained.resolve())
    return {
        "minutes": f"{request.minutes:g}",
        "gamma": f"{request.gamma:g}",
        "seed": str(request.seed),
        "from": pretrained,
    }


def check_begun(path: Path, request: ImitationRequest) -> None:
    """A run that is there goes on with its own settings only.

    Args:
        path: of the recipe.
        request: what is asked for now.

    Raises:
        UserError: it was begun with others.
    """
    if not path.is_file():
        return
    stated = _stated(path)
    for name, asked in begun_with(request).items():
        begun = stated.get(name, asked)  # older runs do not tell
        if _same(name, begun) != _same(name, asked):
            raise UserError(
                f"{path.parent} was begun with --{name} {begun or 'nothing'}, not {asked or 'nothing'}: give "
                "the same, or another --to"
            )


def _same(name: str, value: str) -> object:
    """A value as it is compared."""
    if name == "from":
        return value and (ROOT / value).resolve()
    try:
        return float(value)
    except ValueError:
        return value


def _stated(path: Path) -> Mapping[str, str]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read ({error}); remove it, or name another --to") from error
    return {name: value for name, _, value in (line.partition(" ") for line in lines)}
