"""From a table to new rows: the stages that train a model, and the face for notebooks."""
