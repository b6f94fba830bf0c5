"""Units of work, their folder, and the executors that place them: sentences and rows of tables alike."""
