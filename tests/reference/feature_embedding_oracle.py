"""Embeddings made of features, row by row and feature by feature."""

import math


def literal_table(own, scale, features, weights, own_rows=True):
    """The table as lists of rows.

    Args:
        own: rows of numbers.
        scale: of each row, -1 for none.
        features: of each row, numbers.
        weights: ``[scale][feature]`` rows of numbers.
        own_rows: whether a row on a scale also has its own.
    """
    table = []
    for row, on, read in zip(own, scale, features):
        if on >= 0:
            row = list(row) if own_rows else [0.0] * len(row)
            for one, learnt in zip(read, weights[on]):
                row = [value + one * weight for value, weight in zip(row, learnt)]
        table.append(list(row))
    return table


def literal_bumps(at, num_bumps, low, high):
    """The heights of the bumps at a place."""
    heights = []
    for k in range(num_bumps):
        middle = low + (high - low) * k / (num_bumps - 1)
        distance = (at - middle) * num_bumps / (high - low) / 1.2
        heights.append(math.exp(-distance * distance / 2))
    return heights
