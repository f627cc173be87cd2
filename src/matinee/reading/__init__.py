"""The one reader of files: from bytes to a table whose rows have a place and whose columns have a role.

The log reader (`data/`, refuses the first bad row) and the site's import (`serve/transfer/`, takes what it can and
reports the rest) both use it; it knows neither.

    archive, single = open_source(path)             # archives.py: a folder, zip, tar, pipe, `-`, or a single file
    as_archive(raw, path)                           # the zip or tar that bytes are, or None
    table = read_table(raw, where)                  # table.py: any format, compressed or not, as one Table
    table = read_table(raw, where, tolerant=True)   # refuses no row: table.faults has Fault(line, text, problem);
                                                    # reads Windows-1252; finds the header in the first 10 lines
    table = read_table(raw, where, encoding=Encoding("cp949", "--encoding"))  # encodings.py: not UTF-8
    table.locate(row)                               # "line 7"
    roles = table.roles(columns)                    # columns.py: {"user": "userId", ...}; raises without user or item
    recognise(names, roles), columns_named(...)     # columns.py: by name only, never raise
    ids, notes = read_ids(series, "item", where, locate)   # cells.py, strict: a bad cell is a DataError with its place
    values, notes = read_values(series, where, locate)
    numbers, notes = to_numbers(series, where)      # numbers.py: Float64, null where a cell is none; decimal commas
    micros, unit = to_micros(series)                # timestamps.py: null where a cell is no time
    require_reading(archive, names, where)          # needs.py: raises before a reading for which there is no memory
    holds_adjacency_text(raw, where)                # table.py: for the parts of a split, then read_table(beside=True)

`Read` says what a read took: the column of each role, unused columns, dropped rows by reason, notes. A log carries one.
"""
