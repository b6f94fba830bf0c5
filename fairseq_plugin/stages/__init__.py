"""The stages of a pipeline: commands that are run, watched, and passed over once they have finished."""
