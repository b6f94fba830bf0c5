"""A product in 8 bits, stated literally: Python's whole numbers, one output of one token at a time."""


def literal_int8_product(token, weights, bias, most):
    """``len(weights)`` floats.

    Args:
        token: floats.
        weights: for each output as many floats.
        bias: a float for each output.
        most: the greatest number that a token's entries are rounded to; weights go to 127.
    """
    token_8, token_scale = _rounded(token, most)
    outputs = []
    for output, own_bias in zip(weights, bias, strict=True):
        output_8, output_scale = _rounded(output, 127)
        total = sum(a * b for a, b in zip(token_8, output_8, strict=True))
        outputs.append(total * token_scale * output_scale + own_bias)
    return outputs


def _rounded(values, most):
    scale = max(map(abs, values)) / most or 1.0
    return [round(value / scale) for value in values], scale
