"""Single-token metrics as their definitions read: one position after the other, slices and sets."""


def literal_counts(predicted, target, rank, ignore_index, windows):
    """Nested lists of ints, rows x positions; the same keys as ``single_token_counts``, as ints."""
    keys = ["num_scored", "hits1", "hits10", "rank_sum"]
    keys += [f"{kind}_{window}" for window in windows for kind in ("rep", "wrep", "human_rep")]
    counts = dict.fromkeys(keys, 0)
    for row_predicted, row_target, row_rank in zip(predicted, target, rank):
        for t, y in enumerate(row_target):
            if y == ignore_index:
                continue
            guess = row_predicted[t]
            counts["num_scored"] += 1
            counts["hits1"] += guess == y
            counts["hits10"] += row_rank[t] <= 10
            counts["rank_sum"] += row_rank[t]
            for window in windows:
                before = {token for token in row_target[max(0, t - window) : t] if token != ignore_index}
                counts[f"rep_{window}"] += guess in before
                counts[f"wrep_{window}"] += guess in before and guess != y
                counts[f"human_rep_{window}"] += y in before
    return counts
