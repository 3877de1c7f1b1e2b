"""How messages are worded."""

import difflib
from collections.abc import Iterable, Sequence


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """' (did you mean X?)' if one of `known` is close to `name`, else an empty string."""
    close = difflib.get_close_matches(str(name), [str(k) for k in known], n=1, cutoff=0.6)
    return f' (did you mean {close[0]!r}?)' if close else ''


def some(names: Iterable[object], most: int = 10) -> str:
    """The first few names, and how many more there are."""
    listed = [str(name) for name in names]
    more = f' and {len(listed) - most} more' if len(listed) > most else ''
    return ', '.join(listed[:most]) + more
