"""``report.html`` of new rows: the verdict in words, then what it rests on."""
