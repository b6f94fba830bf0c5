"""Tables for a terminal."""


def aligned(rows):
    """Lines of a table: the first column to the left, the others to the right, two spaces between.

    Args:
        rows: list of equally long lists of ``str``, the head first.
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
