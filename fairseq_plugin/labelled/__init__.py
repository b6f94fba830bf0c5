"""Labelled rows: reading, checking, splitting and fairseq's binary form, with a manifest beside it."""
