"""How good are new rows? Measured beside real rows that no model has seen, which is what "good" can mean."""
