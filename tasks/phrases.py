"""Numbers as text, the same in every verdict, table and sentence."""

from collections.abc import Sequence

MINUS = "−"
"""The minus sign U+2212, which nobody takes for a hyphen."""


def fixed(value: float, digits: int) -> str:
    """A number with so many decimals: ``−0.78``. What rounds to zero has no sign."""
    return _with_minus(f"{value:,.{digits}f}")


def signed(value: float, digits: int = 2) -> str:
    """The same with a sign also where it is positive: ``+0.78``."""
    return _with_minus(f"{value:+,.{digits}f}")


def signed_points(score: float) -> str:
    """A difference of scores in points with its sign: ``−13.2``."""
    return signed(100 * score, 1)


def _with_minus(text: str) -> str:
    return text.replace("-", MINUS) if any(digit in "123456789" for digit in text) else text.lstrip("+-")


def points(score: float) -> str:
    """The size of a difference of scores in points: ``4.2 points``, ``13 points``, ``1 point``."""
    number = bare_points(score)
    return f"{number} point" if number == "1" else f"{number} points"


def bare_points(score: float) -> str:
    """The same without the unit: ``4.2``, ``13``."""
    value = 100 * abs(score)
    return f"{value:.0f}" if value >= 9.95 else f"{value:.1f}".removesuffix(".0")


def count(n: int, noun: str) -> str:
    """``1 task``, ``3 tasks``, ``1,000 tasks``."""
    return f"{n} {noun}" if n == 1 else f"{n:,} {noun}s"


def among(k: int, n: int, noun: str = "") -> str:
    """``all 20 curves``, ``both curves``, ``none of 20``, ``7 of 20 curves``."""
    of = count(n, noun) if noun else str(n)
    if k == n == 2:
        return f"both {noun}s" if noun else "both"
    if n == 1 or 0 < k < n:
        return f"{k} of {of}"
    return f"all {of}" if k else f"none of {of}"


def listed(parts: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def about(title: str, text: str) -> str:
    """A text after its title, with a colon (``Topics: it is good.``) unless the title is a question."""
    return f"{title} {text[:1].upper()}{text[1:]}" if title.endswith("?") else f"{title}: {text}"


def sentence(text: str) -> str:
    """With a capital letter and a full stop; nothing for nothing."""
    return text[:1].upper() + text[1:] + "." if text else ""


def times(k: int, n: int) -> str:
    """``all of them``, ``both``, ``7``: a part of a whole that was named before."""
    return {1: "it", 2: "both"}.get(n, "all of them") if k == n else str(k) if k else "none"
