"""Notes of a data set by kind."""

TAKEN = ("columns: ", "titles: ")


def changes(data) -> tuple[str, ...]:
    """The notes on what reading changed, without those on what it took: columns and titles."""
    return tuple(note for note in data.notes if not note.startswith(TAKEN))
