"""Tables for benchmarks that need no file: ``(names, rows)``."""

import numpy as np

CITIES = {"Oslo": (0.4, 50), "Rome": (0.3, 35), "Lima": (0.2, 20), "Pune": (0.1, 15)}  # share, income
DEGREES = {"none": 0, "first": 8, "second": 20}  # more income


def breast_cancer():
    """30 numbers and a diagnosis, 569 rows; of scikit-learn."""
    from sklearn.datasets import load_breast_cancer

    found = load_breast_cancer()
    names = [*(str(name).replace(" ", "_") for name in found.feature_names), "diagnosis"]
    kinds = [str(found.target_names[kind]) for kind in found.target]
    return names, [[*(f"{value:g}" for value in row), kind] for row, kind in zip(found.data, kinds)]


def mixed(num_rows=2000, seed=1):
    """Categories, a date, numbers with gaps: degrees follow the city, the day of entry and membership follow
    the age, and income follows city, degree and age."""
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(num_rows):
        city = str(random.choice(list(CITIES), p=[share for share, _ in CITIES.values()]))
        shares = [0.3, 0.3, 0.4] if city == "Oslo" else [0.6, 0.3, 0.1]
        degree = str(random.choice(list(DEGREES), p=shares))
        age = int(np.clip(random.normal(44, 13), 18, 90))
        noise = float(np.exp(0.15 * random.normal()))
        income = (CITIES[city][1] + DEGREES[degree]) * (0.6 + age / 100) * noise
        year = 2024 - max(age - 18 - int(random.exponential(6)), 0)
        day = f"{year}-{int(random.integers(1, 13)):02d}-{int(random.integers(1, 29)):02d}"
        is_member = random.random() < 1 / (1 + np.exp((age - 40) / 8))
        told = "" if random.random() < 0.1 else f"{income:.2f}"
        rows.append([city, degree, str(age), day, "yes" if is_member else "no", told])
    return ["city", "degree", "age", "entry", "member", "income"], rows
