"""The nucleus of a wide distribution without sorting the vocabulary.

"The fewest most probable tokens whose probabilities reach p" (Holtzman et al. 2020, section 3.1) is usually
found by sorting all of them. Here each token is put into a class by the leading bits of its probability, the
classes' masses are added from the top until they reach p, and only the class in which that happens is sorted.

Legend: O rows (distributions), V vocabulary, C classes, X tokens of the last class of all rows, W most of
them in one row.
"""

import torch

# A float32's exponent and the first 7 bits of its fraction name its class: 128 classes from one power of two
# to the next, and no logarithm.
_CLASS_SHIFT = 16
# Below 2^-60 all probabilities are of one class.
_LOWEST = (127 - 60) << (23 - _CLASS_SHIFT)
_NUM_CLASSES = (60 << (23 - _CLASS_SHIFT)) + 1
# Rows whose work stays inside the CPU's cache.
_ROWS_AT_ONCE = 4


def outside_nucleus(logits_OV: torch.Tensor, temperature: float, p: float) -> torch.Tensor:
    """Which tokens do not belong to the nucleus.

    Args:
        logits_OV: float32; ``-inf`` for forbidden tokens, at least one allowed in each row.
        temperature: logits are divided by it first.
        p: in (0, 1).

    Returns:
        bool ``(O, V)``, True outside. Of equally probable tokens at the border those with the lowest numbers
        are inside. A row's answer depends on no other row.
    """
    outside_OV = torch.empty_like(logits_OV, dtype=torch.bool)
    last_OV = torch.empty_like(outside_OV)
    before_O = logits_OV.new_empty(len(logits_OV), dtype=torch.float64)
    at_once = _ROWS_AT_ONCE if logits_OV.device.type == "cpu" else max(len(logits_OV), 1)
    probs_OV = torch.empty_like(logits_OV)
    for start in range(0, len(logits_OV), at_once):
        some = slice(start, start + at_once)
        torch.softmax(logits_OV[some] / temperature, -1, out=probs_OV[some])
        class_OV = (probs_OV[some].view(torch.int32) >> _CLASS_SHIFT).sub_(_LOWEST).clamp_(min=0)
        masses_OC = probs_OV.new_zeros(len(class_OV), _NUM_CLASSES, dtype=torch.float64)
        masses_OC.scatter_add_(1, class_OV.long(), probs_OV[some].double())
        above_OC = masses_OC.flip(1).cumsum(1)  # class by class from the top
        last_O1 = (above_OC < p).sum(1, keepdim=True).clamp_(max=_NUM_CLASSES - 1)
        before_O[some] = (above_OC - masses_OC.flip(1)).gather(1, last_O1).squeeze(1)
        last_O1 = _NUM_CLASSES - 1 - last_O1
        torch.lt(class_OV, last_O1, out=outside_OV[some])
        torch.eq(class_OV, last_O1, out=last_OV[some])
    row_X, token_X = last_OV.nonzero(as_tuple=True)
    probs_X = probs_OV[row_X, token_X].double()
    counts_O = torch.bincount(row_X, minlength=len(logits_OV))
    place_X = torch.arange(len(row_X), device=row_X.device) - (counts_O.cumsum(0) - counts_O)[row_X]
    probs_OW = probs_X.new_zeros(len(logits_OV), int(counts_O.max()) if len(counts_O) else 0)
    probs_OW[row_X, place_X] = probs_X
    sorted_OW, order_OW = probs_OW.sort(dim=1, descending=True, stable=True)
    dropped_OW = sorted_OW.cumsum(1) - sorted_OW + before_O.unsqueeze(1) >= p
    dropped_OW = torch.empty_like(dropped_OW).scatter_(1, order_OW, dropped_OW)
    outside_OV[row_X, token_X] = dropped_OW[row_X, place_X]
    return outside_OV
