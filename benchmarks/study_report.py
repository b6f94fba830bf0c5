"""What the runs of the repetition study have measured, gathered into one JSON."""

import datetime
import json

from benchmarks import study_runs
from benchmarks.machine import machine_class
from fairseq_plugin.errors import UserError
from fairseq_plugin.reports.training_log import read_run


def read(study):
    """Gather the runs that are done.

    Returns:
        ``{"made", "machine", "settings", "titles", "human", "runs"}``; runs is ``{form: {objective: {seed:
        numbers}}}``, numbers are ``{"single": {metric: value}, "decodings": {decoding: {metric: value}},
        "curve": {update: {"seq-rep-4", "valid ppl"}}, "cost": {part: CPU seconds}}``. A seed of a form counts
        once its maximum likelihood is done, because everything is compared with that.
    """
    report = {
        "made": datetime.date.today().isoformat(),
        "machine": machine_class(threads=1),
        "settings": None,
        "titles": {objective.name: objective.title for objective in study_runs.OBJECTIVES},
        "human": None,
        "runs": {},
    }
    for form in study_runs.FORMS:
        of_form = {}
        for objective in study_runs.OBJECTIVES:
            seeds = {}
            for seed in _seeds_of(study, form):
                run = study_runs.Run(form, objective, seed)
                if study.is_done(run):
                    seeds[str(seed)], loaded = _numbers(study, run)
                    report["human"] = report["human"] or _human(loaded)
                    report["settings"] = report["settings"] or loaded["completion"]["settings"]
            if seeds:
                of_form[objective.name] = seeds
        if of_form:
            report["runs"][form] = of_form
    return report


def _seeds_of(study, form):
    """The seeds whose maximum likelihood is done, by number."""
    done = (study.folder / form.replace(" ", "-")).glob("mle-seed-*/cost.json")
    return sorted(int(path.parent.name.rsplit("-", 1)[1]) for path in done)


def _numbers(study, run):
    at, objective = study.at(run), run.objective.name
    loaded = _json(at / "evaluation" / "results.json")
    curve = _json(at / "curve" / "results.json")["completion"]["systems"]
    made = {
        name.removeprefix(f"{objective} "): one
        for name, one in loaded["completion"]["systems"].items()
        if name != "human"
    }
    valid = dict(read_run([at]).valid["ppl"])
    points = study_runs.FORMS[run.form].points
    return {
        "single": _values(loaded["single_token"]["systems"][objective]),
        "decodings": {decoding: _values(one) for decoding, one in made.items()},
        "curve": {
            str(point): {
                "seq-rep-4": _values(curve[_curve_name(curve, point)])["seq-rep-4"],
                "valid ppl": valid[point],
            }
            for point in points
        },
        "cost": _json(at / "cost.json"),
    }, loaded


def _curve_name(systems, point):
    """A system is called ``"200"``, or ``"200 greedy"`` where its decoding is part of the name."""
    return next(name for name in systems if name.split()[0] == str(point))


def _human(loaded):
    return {
        "single": _values(loaded["single_token"]["systems"]["human"]),
        "continuations": _values(loaded["completion"]["systems"]["human"]),
    }


def _values(system):
    return {name: entry["value"] for name, entry in system["metrics"].items()}


def _json(path):
    if not path.is_file():
        raise UserError(f"{path} is missing: run the study again, it goes on where it stopped")
    return json.loads(path.read_text("utf-8"))
