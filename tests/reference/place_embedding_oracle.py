"""Embeddings that read places, row by row and bump by bump."""

import math


def literal_table(own, scale, place, bumps):
    """The table as lists of rows.

    Args:
        own: rows of numbers.
        scale: of each row, -1 for none.
        place: of each row, in [0, 1].
        bumps: ``[scale][bump]`` rows of numbers.
    """
    table = []
    for row, on, at in zip(own, scale, place):
        row = list(row)
        if on >= 0:
            num_bumps = len(bumps[on])
            for k in range(num_bumps):
                distance = (at - k / (num_bumps - 1)) * num_bumps / 1.2
                height = math.exp(-distance * distance / 2)
                row = [value + height * learnt for value, learnt in zip(row, bumps[on][k])]
        table.append(row)
    return table
