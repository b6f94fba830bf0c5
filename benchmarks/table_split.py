"""The tables of the benchmarks, split by a seed, and the rows that systems made of them."""

import numpy as np

from benchmarks.table_made import breast_cancer, mixed
from fairseq_plugin.synthesis.judges.judgement import TooFewRows, judge_rows
from fairseq_plugin.synthesis.judges.rows import judged_rows
from fairseq_plugin.tables.infer import infer
from fairseq_plugin.tables.profile import Profile
from fairseq_plugin.tables.reading import TableFile
from fairseq_plugin.tables.writing import write_table

ABALONE = ("Sex", "Length", "Diameter", "Height", "Whole", "Shucked", "Viscera", "Shell", "Rings")
TABLES = {  # file or who makes it, names of the columns, target, training rows
    "abalone": ("abalone/abalone.csv", ABALONE, "Rings", 3000),
    "insurance": ("insurance/insurance.csv", None, "charges", 1000),
    "breast cancer": (breast_cancer, None, "diagnosis", 400),
    "mixed": (mixed, None, "income", 1500),
}


class Split:
    """Training and held-out rows of a table by a seed, written to a folder.

    Attributes:
        name, target: of the table.
        folder: holds ``train.csv`` and ``held_out.csv``.
        train, held_out: as the judges read them, by a schema of the whole table.
    """

    def __init__(self, data, to, name, seed):
        source, names, self.target, num_train = TABLES[name]
        self.name, self.seed = name, seed
        if callable(source):
            self.path = to / f"{slug(name)}.csv"
            write_table(self.path, *source(), "csv")
        else:
            self.path = data / source
        table = TableFile.open(self.path, names=names)
        rows, self.names = table.rows(), list(table.names)
        order = np.random.default_rng([seed, len(rows)]).permutation(len(rows)).tolist()
        self.folder = to / name / f"seed-{seed}"
        self.folder.mkdir(parents=True, exist_ok=True)
        parts = {"train": order[:num_train], "held_out": order[num_train:]}
        cells = {part: [rows[at] for at in places] for part, places in parts.items()}
        for part_name, own in cells.items():
            write_table(self.folder / f"{part_name}.csv", self.names, own, "csv")
        profiles = [Profile() for _ in self.names]
        for profile, column in zip(profiles, zip(*rows)):
            profile.add(column)
        self.schema, _ = infer(self.names, profiles, self.target, "first", {})
        self.train, self.held_out = (self.judged(self.names, own) for own in cells.values())

    def judged(self, names, rows):
        return judged_rows(self.schema, list(names), rows)

    def rows_file(self, system):
        """Where a system's new rows are kept."""
        return self.folder / f"{slug(system)}.csv"

    def rows_of(self, system):
        """A system's new rows, as the judges read them."""
        return self.read(self.rows_file(system))

    def read(self, path):
        """Rows of a CSV file with a header, as the judges read them."""
        table = TableFile.open(path, header="yes")
        return self.judged(table.names, table.rows())

    def judge_file(self, system):
        """What the judges say of a system's rows, and how many obey the schema; None for too few rows."""
        rows = self.rows_of(system)
        try:
            judgement = judge_rows(self.train, self.held_out, rows, self.target, self.seed)
        except TooFewRows:
            return {"valid": num_valid(rows), "judged": None}
        return {"valid": num_valid(rows), "judged": judgement.to_json()}


def slug(system):
    """A system's name for a file."""
    return system.replace(" ", "-").replace(",", "")


def is_valid(rows):
    """Whether a row's numbers are numbers, its categories known ones, and its cells there where the table has
    none that is missing. Shape (N)."""
    unknown_C = np.array([column.num_values - 1 if column.is_category else np.inf for column in rows.columns])
    may_miss_C = np.array([column.column.missing is not None for column in rows.columns])
    is_there_NC = np.isfinite(rows.values_NC) & (rows.values_NC != unknown_C)
    return (is_there_NC | (np.isnan(rows.values_NC) & may_miss_C)).all(1)


def num_valid(rows):
    """Rows that are valid."""
    return int(is_valid(rows).sum())
