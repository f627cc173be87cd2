"""The one reader of files: from bytes to a table whose rows have a place and whose columns have a role.

The log reader (`data/`, refuses the first bad row) and the site's import (`serve/transfer/`, takes what it can and
reports the rest) both use it; it knows neither.

    table = read_table(raw, where)                  # table.py: Table(frame, lines, numbered, format, notes)
    table.locate(row)                               # "line 7"
    roles = find_roles(names, where, columns)       # columns.py: {"user": "userId", ...}; raises without user or item
    ids = read_ids(series, "item", where, locate)   # cells.py, strict: a bad cell is a DataError with its place
    micros, unit = to_micros(series)                # timestamps.py, lenient: null where a cell is not a time

`Read` says what a read took: the column of each role, unused columns, dropped rows by reason, notes. A log carries one.

To come tonight, for the import (announced so that it can be written against):

    read_table(raw, where, tolerant=True)   # refuses no row: table.faults lists Fault(line, text, problem); text
                                            # that is not UTF-8 is read as Windows-1252, a quote that never closes is a
                                            # character, and a header may be in any of the first 10 lines
    recognise(names, roles)                 # columns.py: {role: column}, never raises; roles in order of preference, of
                                            # user item title year value at kind record genres
    to_numbers(series)                      # numbers.py: Float64, null where a cell is not one; decimal commas
"""
