"""Korean particles: the form that fits the word before it, where a text leaves both open, as in `{title}을(를)`."""

import re

FORMS = {"을(를)": "을를", "이(가)": "이가", "은(는)": "은는", "과(와)": "과와"}
"""After a final consonant, and after a vowel."""
_UNDECIDED = re.compile(rf"((?:</\w+>|[’”'\"!?.…)\]])*)({'|'.join(map(re.escape, FORMS))})")
_CONSONANT = re.compile(r"(?:[lmnc]|ng|ck|[lmn]e|[013678])$", re.IGNORECASE)
_VOWEL = re.compile(r"(?:[aeiouyàâäåáéèêëíîïóôöúûüøæwrsxzfvhj]|[2459])$", re.IGNORECASE)


def with_particles(text: str) -> str:
    """The text with every particle chosen; both forms stay where the sound of a foreign word is not clear.

    Of words in Latin letters only the spelling is known: a final l, m, n or c is read as a consonant, a vowel and the
    letters that Korean transliterates with one (r, s, x and others) as a vowel.
    """
    return _UNDECIDED.sub(_chosen, text)


def _chosen(found: re.Match[str]) -> str:
    between, both = found.groups()
    ends_in_consonant = _final_consonant(found.string[max(0, found.start() - 2) : found.start()])
    if ends_in_consonant is None:
        return found[0]
    return between + FORMS[both][0 if ends_in_consonant else 1]


def _final_consonant(word: str) -> bool | None:
    last = word[-1:]
    if "가" <= last <= "힣":
        return (ord(last) - ord("가")) % 28 > 0
    if _CONSONANT.search(word):
        return True
    return False if _VOWEL.search(word) else None
