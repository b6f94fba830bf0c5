"""Samples as ``fairseq_cli/generate.py`` prints them, made by hand."""


def printed(number, symbols, text="x", source="p", target=None, with_source=True, ended=True):
    """The lines of one sample."""
    scores = " ".join(["-1.0000"] * (len(symbols.split()) + ended))
    before = f"S-{number}\t{source}\n" if with_source else ""
    before += "" if target is None else f"T-{number}\t{target}\n"
    return f"{before}H-{number}\t-0.5\t{symbols}\nD-{number}\t-0.5\t{text}\nP-{number}\t{scores}\n"
