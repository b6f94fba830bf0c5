"""Are the new rows worth using? A plain classifier, trained with and without them, reads held-out real rows.

The comparison is with the best that costs nothing (:mod:`.verdict_arms`). A gain is claimed only where the
95 % interval of the paired difference lies above 0; harm, where it lies below 0 against the real rows alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairseq_plugin.augment.judges.filter import LabelProbabilities
from fairseq_plugin.augment.judges.teacher import load_teacher
from fairseq_plugin.augment.judges.words import agree, synthetic_examples, train_judge
from fairseq_plugin.augment.verdict.arms import BOTH, CHEAP, REAL, TAUGHT, arms, without_copies
from fairseq_plugin.augment.verdict.by_labels import NOT_WORTH_USING, Verdict, verdict
from fairseq_plugin.augment.verdict.eda import wordnet_synonyms
from fairseq_plugin.augment.verdict.held_rows import Held, Part, hold
from fairseq_plugin.augment.verdict.language import Language, Likelihoods, measure_language
from fairseq_plugin.augment.verdict.paired_bootstrap import Gain, paired_gain
from fairseq_plugin.augment.verdict.students import bag_of_words_answers, balanced_accuracy, chosen
from fairseq_plugin.augment.write_sets import Examples
from fairseq_plugin.errors import UserError
from fairseq_plugin.labelled.binary import read_texts
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.reports.display import percent, percent_range, short
from fairseq_plugin.reports.statistics import draw

USE, NO_GAIN, DO_NOT_USE, UNCHECKED = "use this", "no gain", "do not use this", "not checked"
EXIT_STATUS = {DO_NOT_USE: 3, NO_GAIN: 4}  # of commands that end with a verdict; 0 for the others
NUM_SEEDS = 5
MOST = 3000  # rows of each side that are trained on; more takes longer than a minute
LEAST_ADVISED = 200  # held-out rows; an interval of about 5 points each way
WIDE = 0.05  # half an interval; above it the held-out rows are too few to see what people hope for

Said = Callable[[int, int], None]  # so many of so many are done
Right = dict[str, NDArray[np.bool_]]  # by arm: whether each seed (D) is right on each counted row (N)


def ignore(done: int, total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Arm:
    """One way to train: number of rows, mean accuracy and its range over seeds, mean over labels of the share
    that is right.
    """

    name: str
    rows: int
    accuracy: float
    lowest: float
    highest: float
    by_label: float


@dataclass(frozen=True)
class QuickVerdict:
    """What :func:`judge_rows` found.

    Attributes:
        outcome: :data:`USE`, :data:`NO_GAIN`, :data:`DO_NOT_USE` or :data:`UNCHECKED`.
        sentence: for a person; begins with the outcome.
        measured_on, rows: the held-out rows; see :class:`.held_rows.Held`.
        copies: new rows left out because they are held-out rows.
        drawn: real and new rows that were trained on, where there are more than :data:`MOST`.
        arms: every way to train.
        best_cheap: the best arm without new rows.
        gain: of real + synthetic over that arm.
        change: of real + synthetic over the real rows alone.
        labels: whether the new labels fit the sentences.
        language: what held-out text costs the generator; None where it was not asked.
        teacher: accuracy of the teacher on the same rows, in [0, 1]; None without one. With one, ``gain`` and
            ``change`` are those of the new rows under its soft labels.
    """

    outcome: str
    sentence: str
    measured_on: str | None = None
    rows: int = 0
    copies: int = 0
    drawn: tuple[int, int] = (0, 0)
    arms: tuple[Arm, ...] = ()
    best_cheap: str | None = None
    gain: Gain | None = None
    change: Gain | None = None
    labels: str | None = None
    language: Language | None = None
    teacher: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON holds it; the same for the same rows and seed."""
        return asdict(self)


def judge_set(
    data: str | Path,
    samples: str | Path,
    seed: int = 1,
    generator: Likelihoods | None = None,
    said: Said = ignore,
    teacher: str | None = None,
) -> QuickVerdict:
    """Judge an augmented set by the real rows it was made from.

    Args:
        data: the prepared folder.
        samples: a folder written by ``scripts/collect.py``.
        seed: of every draw.
        generator, said: see :func:`judge_rows`.
        teacher: a file of scores or ``module:function``; see :mod:`fairseq_plugin.augment.judges.teacher`.

    Raises:
        UserError: no such data or set, or a set made with other data.
    """
    if not 0 <= seed < 1 << 32:
        raise UserError(f"--seed {seed} must lie in [0, 2^32)")
    manifest, synthetic = Manifest.load(data), synthetic_examples(data, samples)
    real = {split: read_texts(data, split) for split in manifest.splits}
    names = [label.name for label in manifest.labels]
    teaches = load_teacher(teacher, names) if teacher is not None else None
    return judge_rows(names, real, synthetic, seed, generator, said, teaches)


def judge_rows(
    names: Sequence[str],
    real: Mapping[str, Examples],
    synthetic: Examples,
    seed: int = 1,
    generator: Likelihoods | None = None,
    said: Said = ignore,
    teacher: LabelProbabilities | None = None,
) -> QuickVerdict:
    """Judge new rows.

    Args:
        names: of the labels.
        real: label index and text of the real rows, by split.
        synthetic: the new rows.
        seed: of every draw.
        generator: the model that wrote them, to be asked for its language; None: it is not known.
        said: is told how many classifiers are trained, of how many.
        teacher: gives the new rows soft labels, which the classifier learns from (distillation); None: the
            labels that they were made for.

    Raises:
        UserError: a new row that the teacher has no answer for.
    """
    if not synthetic:
        return QuickVerdict(DO_NOT_USE, _said(DO_NOT_USE, "there are no new rows."))
    held = hold({**real, "train": draw(real["train"], MOST, seed)}, seed)
    if len({label for label, _ in real["train"]}) < 2 or not held.parts:
        why = "no row can be held out" if not held.parts else "there is only one label"
        return QuickVerdict(UNCHECKED, _said(UNCHECKED, f"{why}, so nothing can be compared."))
    own = without_copies(synthetic, [] if held.was_trained_on else [text for _, text in held.parts[0].rows])
    if not own:
        return QuickVerdict(DO_NOT_USE, _said(DO_NOT_USE, f"every new row is a row of {held.name}."))
    soft = _taught(teacher, own) if teacher is not None else None
    right, sizes = _measure(held, own, seed, said, soft)
    new = BOTH if soft is None else TAUGHT
    labels = _labels(names, held.parts[0], draw(own, MOST, seed))
    best = max(CHEAP, key=lambda name: right[name].mean())  # the first among equals
    gain, change = (paired_gain(right[name], right[new], seed) for name in (best, REAL))
    unseen = [*real.get("valid", ()), *real.get("test", ())]
    language = measure_language(generator, real["train"], unseen, seed) if generator is not None else None
    outcome, reason = _decide(held, right, new, best, gain, change, labels, language)
    return QuickVerdict(
        outcome,
        _said(outcome, reason),
        measured_on=held.name,
        rows=held.num_rows,
        copies=len(synthetic) - len(own),
        drawn=(min(MOST, len(real["train"])), min(MOST, len(own))),
        arms=tuple(_arm(name, sizes[name], right[name], held) for name in right),
        best_cheap=best,
        gain=gain,
        change=change,
        labels=labels.sentence,
        language=language,
        teacher=_accuracy(teacher, held) if teacher is not None else None,
    )


def _taught(teacher: LabelProbabilities, rows: Examples) -> dict[str, NDArray[np.float64]]:
    """The teacher's soft labels by text."""
    texts = list(dict.fromkeys(text for _, text in rows))
    found_NL = teacher.probabilities(texts)
    if (none_N := np.isnan(found_NL).any(axis=1)).any():
        missing = short(texts[int(none_N.argmax())], 60)
        raise UserError(f"{teacher.name} has no scores for {missing!r}, a row of --samples: add it")
    return dict(zip(texts, found_NL, strict=True))


def _accuracy(teacher: LabelProbabilities, held: Held) -> float | None:
    """Share of the counted rows that a teacher is right on; None where it has no answers."""
    rows = [row for part in held.parts for row, is_in in zip(part.rows, part.counted_N) if is_in]
    found_NL = teacher.probabilities([text for _, text in rows])
    if np.isnan(found_NL).any():
        return None
    return float((found_NL.argmax(axis=1) == [label for label, _ in rows]).mean())


def _measure(
    held: Held,
    synthetic: Examples,
    seed: int,
    said: Said,
    soft: Mapping[str, NDArray[np.float64]] | None,
) -> tuple[Right, dict[str, int]]:
    """Train every arm for every seed; and the number of rows of each arm."""
    synonyms, known = wordnet_synonyms(), {}
    right: dict[str, list[NDArray[np.bool_]]] = {}
    sizes: dict[str, int] = {}
    groups_N, counted_N = (
        np.concatenate([getattr(part, name) for part in held.parts]) for name in ("groups_N", "counted_N")
    )
    for number in range(NUM_SEEDS):
        drawn = draw(synthetic, MOST, seed + number)
        answers: dict[str, list[NDArray[np.bool_]]] = {}
        for place, part in enumerate(held.parts):
            texts, truth = [text for _, text in part.rows], np.array([label for label, _ in part.rows])
            new = without_copies(drawn, texts)
            ways = arms(part.train, new, seed + number, synonyms)
            for name, rows in (ways if soft is None else {**ways, TAUGHT: ways[BOTH]}).items():
                key = (place, name == TAUGHT, *rows)
                if key not in known:  # most arms hold the same rows whatever the seed
                    taught = soft if name == TAUGHT else None
                    known[key] = bag_of_words_answers(rows, texts, seed, taught) == truth
                answers.setdefault(name, []).append(known[key])
                sizes.setdefault(name, len(rows))
            said(number * len(held.parts) + place + 1, NUM_SEEDS * len(held.parts))
        for name, parts in answers.items():
            right.setdefault(name, []).append(chosen(np.concatenate(parts, axis=1), groups_N, counted_N))
    return {name: np.stack(by_seed) for name, by_seed in right.items()}, sizes


def _labels(names: Sequence[str], part: Part, synthetic: Examples) -> Verdict:
    """Whether a judge that knows the real rows alone agrees with the new labels."""
    if len({label for label, _ in part.train}) < 2:
        return Verdict("The new labels are not checked: there is only one label.", None)
    judge = train_judge([text for _, text in part.train], [label for label, _ in part.train])
    counts = [agree(judge, rows, names).confusion for rows in (part.rows, synthetic)]
    return verdict(names, *counts)


def _decide(
    held: Held,
    right: Right,
    new_arm: str,
    best: str,
    gain: Gain,
    change: Gain,
    labels: Verdict,
    language: Language | None,
) -> tuple[str, str]:
    """The outcome, and the reason in words."""
    where = f"{held.num_rows:,} rows of {held.name if not held.was_trained_on else 'train, fold by fold'}"
    taught = " under the teacher's labels" if new_arm == TAUGHT else ""
    share = percent(right[new_arm].mean())
    new = f"with the new rows{taught} a plain classifier is right on {share} of {where}"
    against_best = f"{new}, without them on {percent(right[best].mean())} at best ({best}): {points(gain)}"
    if change.is_below:
        return (
            DO_NOT_USE,
            f"{new}, with the real rows alone on {percent(right[REAL].mean())}: {points(change)}.",
        )
    if gain.is_above and not held.was_trained_on:
        return USE, f"{against_best}."
    if language is not None and language.is_unlearnt:
        mend = "More rows or a pretrained model (--from GPT2_FOLDER) help."
        return DO_NOT_USE, f"the generator has not learnt the language: {language.figures()}. {mend}"
    if labels.is_worth_using is False and new_arm == BOTH:  # a teacher's labels take the place of theirs
        return DO_NOT_USE, labels.sentence.removeprefix(NOT_WORTH_USING)
    if gain.is_above:
        return NO_GAIN, (
            f"none is proven. {against_best[0].upper()}{against_best[1:]}; the model has read these rows, "
            f"so that says little. Hold out more rows (valid or test, at least {LEAST_ADVISED}) to know."
        )
    half = (gain.interval[1] - gain.interval[0]) / 2
    more = " More held-out rows would show smaller differences." if half > WIDE else ""
    return NO_GAIN, f"{against_best}.{more}"


def _arm(name: str, rows: int, right_DN: NDArray[np.bool_], held: Held) -> Arm:
    labels_N = np.array([label for part in held.parts for label, _ in part.rows])
    labels_N = labels_N[np.concatenate([part.counted_N for part in held.parts])]
    by_label = balanced_accuracy(right_DN, labels_N)
    by_seed = right_DN.mean(axis=1)
    return Arm(name, rows, float(by_seed.mean()), float(by_seed.min()), float(by_seed.max()), by_label)


def points(gain: Gain) -> str:
    """A difference in percentage points, with its interval."""
    low, high = gain.interval
    return f"{100 * gain.value:+.1f} points, 95 % interval {100 * low:+.1f} to {100 * high:+.1f}"


def _said(outcome: str, reason: str) -> str:
    return f"{outcome[0].upper()}{outcome[1:]}: {reason}"


def describe(found: QuickVerdict) -> list[str]:
    """The figures behind the sentence, as lines of text."""
    if not found.arms:
        return []
    sources = {
        "valid": "valid; the model's checkpoint was chosen by these rows too",
        "test": "test; nothing was learnt from them",
    }
    lines = [f"measured on {found.rows:,} rows of {sources.get(found.measured_on or '', found.measured_on)}"]
    lines.append(f"  {'trained on':<18}{'rows':>8}{'accuracy':>11}{'over seeds':>18}{'mean over labels':>18}")
    for arm in found.arms:
        spread, by_label = percent_range(arm.lowest, arm.highest), percent(arm.by_label)
        lines.append(f"  {arm.name:<18}{arm.rows:>8,}{percent(arm.accuracy):>11}{spread:>18}{by_label:>18}")
    if MOST in found.drawn:
        real, new = found.drawn
        lines.append(f"trained on {real:,} real and {new:,} new rows, drawn: at most {MOST:,} of each")
    if found.copies:
        lines.append(f"{found.copies:,} new rows are held-out rows and were left out")
    if found.teacher is not None:
        lines.append(f"the teacher itself is right on {percent(found.teacher)} of these rows")
    if found.language is not None and not found.language.is_unlearnt:
        lines.append(found.language.figures())
    if found.labels and found.labels.removeprefix(NOT_WORTH_USING) not in found.sentence:
        lines.append(found.labels)
    return lines
