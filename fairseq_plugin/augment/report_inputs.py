"""What the report takes from files that other commands wrote: a judge's figures, the verdict."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fairseq_plugin.augment.judges.words import Agreement
from fairseq_plugin.augment.verdict.by_labels import UNCHECKED, verdict
from fairseq_plugin.errors import UserError
from fairseq_plugin.reports.opinions import (
    OUTCOMES,
    Arm,
    Bin,
    Calibration,
    DoubtfulRow,
    Fidelity,
    LabelFidelity,
    Verdict,
)

_NOT_MEASURED = "Whether they help a classifier is not measured yet: scripts/verdict.py does."


@dataclass(frozen=True)
class Judgement:
    """What judges say of a set; None where no judge could be trained.

    Attributes:
        fidelity, verdict: by the independent classifier.
        calibration: of each judge.
        doubtful: real rows whose label a judge does not believe.
    """

    fidelity: Fidelity | None
    verdict: Verdict | None
    calibration: Sequence[Calibration] = ()
    doubtful: Sequence[DoubtfulRow] = ()


def judgement_of(names: Sequence[str], real: Agreement | None, synthetic: Agreement) -> Judgement:
    """From how often a judge agrees.

    Args:
        names: of the labels.
        real: on the real valid set; None where there is none.
        synthetic: on the new rows.
    """
    labels = [
        LabelFidelity(synthetic.by_label[name].share, real.by_label[name].share if real else None)
        for name in names
    ]
    said = verdict(names, real and real.confusion, synthetic.confusion)
    if said.is_worth_using is False:
        found = Verdict("do not use this", said.sentence)
    else:
        found = Verdict(
            "not checked", f"{said.sentence} {_NOT_MEASURED}" if said.is_worth_using else said.sentence
        )
    return Judgement(Fidelity(synthetic.share, real and real.share, labels), found)


def read_judgement(path: str | Path, names: Sequence[str]) -> Judgement:
    """What ``judge_agreement.py --json`` wrote.

    Args:
        path: the file.
        names: of the data's labels.

    Raises:
        UserError: no such file, or not one of these labels.
    """
    stated = _load(path, "judge_agreement.py --json")
    try:
        if stated["labels"] != list(names):
            raise UserError(f"--judge {path} is about other labels than those of the data; judge again")
        real = Agreement.from_json(stated["valid"]) if stated["valid"] else None
        found = judgement_of(names, real, Agreement.from_json(stated["synthetic"]))
        calibration = [
            Calibration(**{**own, "bins": [Bin(**one) for one in own["bins"]]})
            for own in stated.get("calibration", ())  # files of earlier versions have none
        ]
        doubtful = [DoubtfulRow(**own) for own in stated.get("doubtful", ())]
        return replace(found, calibration=calibration, doubtful=doubtful)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"--judge {path} was not written by judge_agreement.py --json") from error


def read_verdict(path: str | Path) -> Verdict:
    """What ``verdict.py quick --json`` wrote.

    Raises:
        UserError: no such file, or another one.
    """
    stated = _load(path, "verdict.py quick --json")
    try:
        arms = [
            Arm(own["name"], own["rows"], own["accuracy"], own["lowest"], own["highest"], own.get("by_label"))
            for own in stated["arms"]
        ]
        sentence, labels = str(stated["sentence"]), str(stated.get("labels") or "")
        if labels.startswith(UNCHECKED) and labels not in sentence:  # what was not looked at belongs to it
            sentence = f"{sentence} {labels}"
        found = Verdict(stated["outcome"], sentence, str(stated["measured_on"]), arms)
    except (KeyError, TypeError) as error:
        raise UserError(f"--verdict {path} was not written by verdict.py quick --json") from error
    if found.outcome not in OUTCOMES:
        raise UserError(f"--verdict {path}: outcome {found.outcome!r} is none of {', '.join(OUTCOMES)}")
    return found


def _load(path: str | Path, writer: str) -> dict[str, Any]:
    try:
        stated = json.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} was not written by {writer}") from error
    if not isinstance(stated, dict):
        raise UserError(f"{path} was not written by {writer}")
    return stated
