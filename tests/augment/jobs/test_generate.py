"""A job ends with the first N accepted samples of every label, and with the same bytes however it ran."""

import dataclasses
import itertools
import json
import os
import shutil
from collections import Counter
from functools import partial

import pytest

from fairseq_plugin.augment.augmented_set import read_synthetic
from fairseq_plugin.augment.candidates import candidate_of
from fairseq_plugin.augment.filters.options import FilterOptions, make_filters
from fairseq_plugin.augment.generations.results import sample_of
from fairseq_plugin.augment.jobs import label_model
from fairseq_plugin.augment.jobs.fill import fill
from fairseq_plugin.augment.jobs.generate import GenerateRequest, generate, make_samples
from fairseq_plugin.augment.jobs.job import Job, Settings
from fairseq_plugin.augment.jobs.quota import Limits
from fairseq_plugin.augment.judges.bayes import BayesJudge
from fairseq_plugin.errors import UserError
from fairseq_plugin.jobs import folder as job_folder
from fairseq_plugin.jobs.executors import Rank, Ranks, ThisProcess
from fairseq_plugin.jobs.units import Unit
from fairseq_plugin.labelled.binary import read_texts
from fairseq_plugin.labelled.manifest import Manifest
from fairseq_plugin.labelled.prepare import Request, prepare
from fairseq_plugin.reports.tally import Counts, Tally
from fairseq_plugin.text.codec import load_codec
from tests.augment.forks import in_fork
from tests.augment.made_job import train_model

ASKED = [30, 17]


@pytest.fixture(scope="module")
def request_for(parts):
    def make(to, **changed):
        settings = {"settings": parts.settings, "per_label": "neg=30,pos=17", "unit_size": 20}
        return GenerateRequest(parts.data, parts.checkpoint, to, **settings | changed)

    return make


@pytest.fixture(scope="module")
def expected(parts, tmp_path_factory):
    """The rows by the literal statement: all samples of a generation in one list, judged, the first N."""
    job, made = parts.open(tmp_path_factory.mktemp("literal") / "job"), 400
    manifest, codec = Manifest.load(parts.data), load_codec(parts.data)
    units = [Unit(0, 0, made), Unit(0, 1, made)]
    list(ThisProcess().run(job, units))
    candidates = [
        candidate_of(sample_of(line, codec.decode, job.units), unit.label, keep_whitespace=False)
        for unit in units
        for line in job.read(unit).lines
    ]
    candidates.sort(key=lambda one: one.id)
    real = {split: read_texts(parts.data, split) for split in ("train", "valid", "test")}
    request = GenerateRequest(parts.data, parts.checkpoint, job.folder, "1")
    chain = make_filters(request.filters, real, manifest.source, codec, ["neg", "pos"])
    verdicts = chain.check(candidates)
    return [
        [one for one, reason in zip(candidates, verdicts) if reason is None and one.label == label]
        for label in range(2)
    ]


@pytest.fixture(scope="module")
def one(request_for, tmp_path_factory):
    """What one process makes without interruption."""
    return generate(request_for(tmp_path_factory.mktemp("one") / "job"), ThisProcess())


def rows(folder):
    return [(row.text, row.label) for row in read_synthetic(folder).rows]


def test_exactly_n_of_each_label_are_accepted_and_they_are_the_first(one, expected):
    names = ("neg", "pos")
    kept = rows(one.folder)
    assert set(kept) <= {(own.text, names[own.label]) for label in range(2) for own in expected[label]}
    for label, number in enumerate(ASKED):
        own = [text for text, name in kept if name == names[label]]
        assert own == [candidate.text for candidate in expected[label]][:number]
    counts = one.record.counts
    assert [own.kept for own in counts.labels.values()] == ASKED and one.shortage is None
    assert counts.total.generated > counts.total.kept + counts.total.reasons["surplus"] > 0
    assert sum(counts.total.reasons.values()) == counts.total.generated - 47


def files(folder):
    return {path.name: path.read_bytes() for path in folder.glob("train*")}


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
def test_any_number_of_shards_at_once_gives_the_same_bytes(request_for, one, tmp_path, monkeypatch, size):
    """Each shard is a process, all of them run at once, and each makes its own units and no others."""
    request = request_for(tmp_path / "many", unit_size=max(2, 12 // size))
    make = Job.make

    def noting(self, units, model):
        for unit in make(self, units, model):
            with open(tmp_path / f"made-by-{os.getpid()}", "a") as notes:
                notes.write(f"{unit.name}\n")
            yield unit

    monkeypatch.setattr(Job, "make", noting)

    def shard(number):
        return generate(request, Ranks(Rank(number, size), patience=500), writes=number == 0)

    children = [in_fork(partial(shard, number)) for number in range(size)]
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * size
    assert files(request.set_folder) == files(one.folder) != {}
    made = [(tmp_path / f"made-by-{pid}").read_text().split() for pid in children]
    assert min(map(len, made)) >= 1
    assert sorted(itertools.chain(*made)) == sorted(p.name.split(".")[0] for p in request.to.glob("units/*"))


def test_shards_one_after_another_give_the_same_bytes(request_for, one, tmp_path):
    request = request_for(tmp_path / "many", unit_size=9)
    for rank in [Rank(2, 3), Rank(1, 3), Rank(0, 3)]:  # the last does everything, the others find it done
        found = generate(request, Ranks(rank, patience=0), writes=rank.number == 0)
        assert (found.folder is None) == (rank.number != 0)
    assert files(found.folder) == files(one.folder)
    assert found.record.counts == one.record.counts


def test_a_finished_job_is_left_as_it_is(request_for, tmp_path):
    request = request_for(tmp_path / "job")
    folder = generate(request, ThisProcess()).folder
    (folder / "report.html").write_text("made later")
    before = {path: path.stat().st_mtime_ns for path in request.to.rglob("*.*")}
    generate(request, _Refuses())
    assert {path: path.stat().st_mtime_ns for path in request.to.rglob("*.*")} == before


class _Refuses:
    """An executor of a job in which nothing is left to do."""

    def run(self, job, units):
        raise AssertionError(f"{units} are made again")

    def model(self, job):
        return None

    def close(self):
        pass


def test_other_filters_use_the_same_samples_again(request_for, tmp_path):
    request = request_for(tmp_path / "job")
    generate(request, ThisProcess())
    units = set((request.to / "units").iterdir())
    filters = dataclasses.replace(request.filters, keep_copies=("test", "train", "valid"))
    found = generate(dataclasses.replace(request, filters=filters), ThisProcess())
    assert found.record.counts.total.kept == 47 and units <= set((request.to / "units").iterdir())
    assert found.record.counts.total.reasons["copy_of_train"] == 0


@pytest.mark.parametrize("finished", [False, True])
def test_samples_are_read_twice_and_the_model_once(request_for, tmp_path, monkeypatch, finished):
    """To be judged, and to be written: what is between needs every sample of a label."""
    request = dataclasses.replace(request_for(tmp_path / "job"), scores=True)
    if finished:
        generate(request, ThisProcess())
        shutil.rmtree(request.set_folder)
    reads, loads = Counter(), []
    read, load = job_folder.read_unit, label_model.load_network
    monkeypatch.setattr(job_folder, "read_unit", lambda *a: (reads.update([a[1]]), read(*a))[1])
    monkeypatch.setattr(label_model, "load_network", lambda *a: (loads.append(a), load(*a))[1])
    generate(request, ThisProcess())
    assert set(reads.values()) == {2} and len(loads) == 1


def test_a_damaged_unit_is_named_and_made_again(request_for, tmp_path, caplog):
    request = request_for(tmp_path / "job")
    before = files(generate(request, ThisProcess()).folder)
    path = min((request.to / "units").iterdir())
    path.write_bytes(path.read_bytes().replace(b'"rank": 0', b'"rank": 1', 1))
    assert files(generate(request, ThisProcess()).folder) == before
    assert path.name in caplog.text and "made again" in caplog.text


def test_a_label_that_falls_short_is_named_and_its_samples_stay(request_for, tmp_path):
    request = request_for(tmp_path / "job", per_label="500", limits=Limits(most_tries=1))
    with pytest.raises(UserError, match=r"'neg' has \d+ of 500 .*duplicate.*--most-tries"):
        generate(request, ThisProcess())
    assert not (request.to / "augmented").exists() and list((request.to / "units").iterdir())
    found = generate(dataclasses.replace(request, allow_fewer=True), _Refuses())
    assert 0 < found.record.counts.total.kept == len(rows(found.folder)) < 1000
    assert "'pos' has" in found.shortage
    kept = {label: own.kept for label, own in found.record.counts.labels.items()}
    assert found.record.shortfall == {label: (kept[label], 500) for label in ("neg", "pos")}


def test_scores_are_the_samples_own_and_those_of_the_label_the_models(request_for, parts, expected, tmp_path):
    request = request_for(tmp_path / "job", form="jsonl", scores=True, soft_labels=True)
    found = generate(request, ThisProcess())
    lines = (found.folder / "train.jsonl").read_text("utf-8").split("\n")[:-1]
    first = next(json.loads(line) for line in lines if json.loads(line)["label"] == "neg")
    (judged,) = BayesJudge.load(parts.checkpoint, parts.data).probabilities([first["sentence"]])
    assert first == {
        "sentence": expected[0][0].text, "label": "neg",
        "log_probability": round(expected[0][0].score, 4),
        "label_probability": pytest.approx(judged[0], abs=2e-4),
        "p_neg": pytest.approx(judged[0], abs=2e-4), "p_pos": pytest.approx(judged[1], abs=2e-4),
    }  # fmt: skip
    assert [row.label for row in read_synthetic(found.folder).rows] == [json.loads(x)["label"] for x in lines]


def test_labels_that_the_model_doubts_are_rejected(request_for, parts, tmp_path):
    request = request_for(tmp_path / "job", per_label="12")
    filters = dataclasses.replace(request.filters, judge_threshold=0.9)
    found = generate(dataclasses.replace(request, filters=filters), ThisProcess())
    made, judge = read_synthetic(found.folder).rows, BayesJudge.load(parts.checkpoint, parts.data)
    judged = judge.probabilities([row.text for row in made])
    assert len(made) == 24
    assert min(judged[n, ["neg", "pos"].index(row.label)] for n, row in enumerate(made)) >= 0.9 - 1e-4
    assert found.record.counts.total.reasons["doubtful_label"] > 0
    assert found.record.to_json()["collect"]["judge_threshold"] == 0.9


def test_the_best_share_of_each_label_is_kept_and_the_rest_is_less_confident(request_for, parts, tmp_path):
    request = request_for(tmp_path / "job", per_label="neg=6,pos=5", soft_labels=True, form="jsonl")
    filters = dataclasses.replace(request.filters, keep_best=0.25)
    made = make_samples(dataclasses.replace(request, filters=filters), ThisProcess())
    judge, sure = BayesJudge.load(parts.checkpoint, parts.data), {0: [], 1: []}
    for one, reason in made.judged():
        if reason is None:
            sure[one.label].append((-judge.probabilities([one.text])[0, one.label], one.id, one.text))
    assert [len(own) >= 4 * number for own, number in zip(sure.values(), (6, 5))] == [True, True]
    found = generate(dataclasses.replace(request, filters=filters), ThisProcess())
    for label, name, number in ((0, "neg", 6), (1, "pos", 5)):
        kept = [row.text for row in read_synthetic(found.folder).rows if row.label == name]
        limit = sorted(sure[label])[number - 1][0] + 1e-5  # two that are all but equal may change places
        allowed = {text for own, _, text in sure[label] if own <= limit}
        assert len(kept) == number and set(kept) <= allowed
    counts = found.record.counts.total
    assert counts.reasons["less_confident"] == sum(map(len, sure.values())) - 11 and counts.kept == 11


def test_a_teacher_takes_the_models_place(request_for, tmp_path):
    request = request_for(tmp_path / "job", form="jsonl", per_label="8", soft_labels=True)
    first = read_synthetic(generate(request, ThisProcess()).folder).rows
    lines = ["text\tpos\tneg", *(f"{row.text}\t1\t{3 if row.label == 'neg' else 0}" for row in first)]
    (tmp_path / "t.tsv").write_text("\n".join(lines) + "\n", "utf-8")
    filters = dataclasses.replace(request.filters, teacher=str(tmp_path / "t.tsv"))
    found = generate(dataclasses.replace(request, filters=filters), ThisProcess())
    rows = [json.loads(line) for line in (found.folder / "train.jsonl").read_text("utf-8").split("\n")[:-1]]
    assert [(row["p_neg"], row["p_pos"]) for row in rows if row["label"] == "neg"] == [(0.75, 0.25)] * 8
    assert [(row["p_neg"], row["p_pos"]) for row in rows if row["label"] == "pos"] == [(0, 1)] * 8
    with pytest.raises(UserError, match="--teacher .*: say what for, by --soft-labels"):
        generate(dataclasses.replace(request, filters=filters, soft_labels=False), ThisProcess())


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"per_label": "neutral=5"}, "--per-label neutral=5: .*the labels are neg, pos"),
        ({"per_label": "0"}, "--per-label 0 asks for no sample"),
        ({"per_label": "99999999"}, "--per-label asks for 199,999,998"),
        ({"unit_size": 0}, "--unit-size 0"),
        ({"rows_per_file": 0}, "--rows-per-file 0"),
    ],
)
def test_bad_requests_are_refused_before_anything_is_written(request_for, tmp_path, changed, said):
    with pytest.raises(UserError, match=said):
        generate(request_for(tmp_path / "job", **changed), ThisProcess())
    assert not (tmp_path / "job").exists()


def test_one_unit_of_each_label_is_in_memory(parts, tmp_path, monkeypatch):
    """Samples are read when their turn comes: never more units open than labels."""
    job, read = parts.open(tmp_path / "job"), []
    real_read = type(job).read
    monkeypatch.setattr(type(job), "read", lambda self, unit: read.append(unit) or real_read(self, unit))
    acceptance = _Counting()
    units = fill(job, acceptance, _plain, ThisProcess(), [40, 40], 10, Limits()).units
    assert read == sorted(units) and acceptance.ids == sorted(acceptance.ids) and len(acceptance.ids) == 80


@dataclasses.dataclass
class _Plain:
    id: int


def _plain(line, label):
    return _Plain(line.id)


class _Counting:
    """Accepts everything."""

    def __init__(self):
        self.ids = []

    def add(self, batch):
        self.ids += [one.id for one in batch]

    def tally(self):
        half = len(self.ids) // 2
        return Tally(Counts(2 * half, 2 * half, 0, {}), dict.fromkeys("ab", Counts(half, half, 0, {})))


def test_texts_that_a_spreadsheet_would_compute_are_marked_on_request_and_read_without_the_mark(tmp_path):
    made = [
        f"={word} and {other}\t{word == 'good'}\n" for word in ("good", "bad") for other in "abcdefgh" * 3
    ]
    (tmp_path / "train.tsv").write_text("sentence\tlabel\n" + "".join(made))
    train = str(tmp_path / "train.tsv")
    prepare(Request(train, str(tmp_path / "data"), valid=train, codec="bytes", vocab_size=300))
    checkpoint = train_model(tmp_path / "data", tmp_path / "checkpoint.pt", num_updates=60)
    filters = FilterOptions(keep_copies=("train", "valid"), near_duplicates=None)
    request = GenerateRequest(
        tmp_path / "data", checkpoint, tmp_path / "job", "3", Settings(max_len_b=20), filters
    )
    generate(request, ThisProcess())
    lines = (request.set_folder / "train.tsv").read_text().split("\n")[1:-1]
    assert any(line.startswith("=") for line in lines)
    safe = generate(dataclasses.replace(request, spreadsheet_safe=True), ThisProcess())
    marked = [f"'{line}" if line[0] in "'=+-@" else line for line in lines]
    assert (request.set_folder / "train.tsv").read_text().split("\n")[1:-1] == marked
    assert safe.record.files["train.tsv"].marked == sum(line[0] in "=+-@" for line in lines)
    assert [f"{text}\t{label}" for text, label in rows(safe.folder)] == lines
