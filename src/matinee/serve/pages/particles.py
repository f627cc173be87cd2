"""Korean particles: the form that fits the word before it, where a text leaves both open, as in `{title}을(를)`."""

import re

FORMS = {
    "을(를)": ("을", "를"),
    "이(가)": ("이", "가"),
    "은(는)": ("은", "는"),
    "과(와)": ("과", "와"),
    "이에요(예요)": ("이에요", "예요"),
    "이라서(라서)": ("이라서", "라서"),
    "이라면(라면)": ("이라면", "라면"),
    "이라(라)": ("이라", "라"),
    "이든(든)": ("이든", "든"),
    "으로(로)": ("으로", "로"),
}
"""After a final consonant, and after a vowel; 로 follows ㄹ too."""
_RIEUL = 8
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
    word = found.string[max(0, found.start() - 2) : found.start()]
    ends_in_consonant = _final_consonant(word)
    if ends_in_consonant is None:
        return found[0]
    if both == "으로(로)" and "가" <= word[-1:] <= "힣" and (ord(word[-1]) - ord("가")) % 28 == _RIEUL:
        ends_in_consonant = False
    return between + FORMS[both][0 if ends_in_consonant else 1]


def _final_consonant(word: str) -> bool | None:
    last = word[-1:]
    if "가" <= last <= "힣":
        return (ord(last) - ord("가")) % 28 > 0
    if _CONSONANT.search(word):
        return True
    return False if _VOWEL.search(word) else None
