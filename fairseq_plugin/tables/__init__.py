"""Tables of data: schema, the code of cells and rows, the symbols that may come next, prepared folders."""
