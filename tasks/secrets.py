"""What looks like a secret in a file or form: a name that holds one, a known format, or a long random string.

Studies, tasks and watches are shown by Prefect, MLflow and reports, so a secret in one is refused where it is read.
Names are judged where any name is allowed (``params``), formats everywhere, randomness where only names are expected:
a text for a prompt may hold anything that is not a key.
"""

import base64
import binascii
import contextlib
import itertools
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from tasks.errors import environment_secrets

SECRET_WORDS = re.compile(
    r"(?:^|_)(?:(?:api_?keys?|(?:access|private|secret|account|subscription|signing|ssh)_keys?|secrets?|password|passwd"
    r"|pwd|passphrase|credentials?|authorization|bearer|cookies?|headers?|signature|connection_string)(?:$|_)"
    r"|(?:key|token|auth|sig|sas)$)"
)
"""Parts of a parameter's name, in snake case, that say that its value is a secret."""
TOKENS_OF_TEXT = re.compile(r"(?:^|_)(?:eos|bos|eot|pad|unk|sep|cls|mask|stop|image)_token(?:$|_)|prompt_cache_key")
"""Names that contain such a part and hold no secret: a tokenizer's special tokens, the label of a prompt cache."""
QUERY = re.compile(r"[?&]([\w.-]+)=[^&\s#]+")
LOGIN = re.compile(r"\w://(?!git@[^@/\s?#]*(?:[/\s?#]|$))[^/\s?#]*[^/\s?#@]@")
"""A user in an address, with or without a password, but for the one that every git server has."""
HEADER = re.compile(
    r"(?P<named>\bauthorization['\"]?\s{0,9}[:=]\s{0,9}['\"]?)?\b(?P<scheme>bearer|basic)\s{1,9}"
    r"(?P<token>[\w.~+/-]{8,}={0,2})",
    re.IGNORECASE,
)
"""An authorization header, or two words that look like one."""
FORMATS = {
    "a login in an address": LOGIN,
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "an API key (sk-...)": re.compile(r"(?<![\w-])sk-(?:\w{1,20}-){0,6}(?=\w*\d)\w{16,}"),
    "an AWS access key": re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "a Google key": re.compile(r"\bAIza[\w-]{35}|\bya29\.[\w-]{20,}"),
    "a Hugging Face token": re.compile(r"\bhf_[A-Za-z0-9]{20,}"),
    "a GitHub token": re.compile(r"\bgh[opsur]_[A-Za-z0-9]{30,}|\bgithub_pat_\w{22,}"),
    "a GitLab token": re.compile(r"\bglpat-[\w-]{20,}"),
    "a Slack token": re.compile(r"\bxox[abeoprs]-[\w-]{10,}"),
    "an API key": re.compile(r"(?<![\w-])(?:gsk_|r8_|xai-|nvapi-|pplx-|dapi|npm_|pypi-)(?=[\w-]*\d)[\w-]{28,}"),
    "a JSON web token": re.compile(r"(?<![\w-])eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]+"),
    "an account key": re.compile(r"\b(?:AccountKey|SharedAccessKey|SharedAccessSignature)=\S{8,}"),
}
"""What keys of well-known providers look like. Each needs a length or a digit that no word has. Each looks at a text
once, however often a key's beginning is repeated in it."""

NO_SECRET = re.compile(r"[A-Z]+(?:_[A-Z]+)+|[/~.].*|\w+://[^@]*")
"""Values of variables that are called as if they held a secret: another variable's name, a path, an address."""
SHORTEST = 12
"""Characters of a variable's value that is looked for in a file. A shorter one, or one without a digit, may be a word:
``postgres``, ``not-needed``."""
PIECE = re.compile(r"[A-Za-z0-9+]{20,}={0,2}")
HEX = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})")
"""A commit or a sha256, which names something and opens nothing where one is expected."""
HASHES = ("revision", "sha256")
"""Fields that hold one."""
RANDOM_BITS = 3.2
"""Shannon entropy of a piece's characters, in bits: of 20 random hexadecimal ones mostly more than 3.2, of 20 random
letters and digits more than 3.7, of joined words 3 to 3.9."""
RANDOM_CHANGES = {2: 0.3, 3: 0.5}
"""Changes between small letter, capital and digit from one character to the next, as a share, by how many of the three
a piece has: of random hexadecimal ones 0.47, of random letters of both kinds and digits 0.66, of joined names such as
``DeBERTaV3BaseMNLIFeverANLILingWANLI`` 0.3 to 0.45."""

TEXTS = ("context", "style", "labels", "label_map", "text", "title", "citation", "licence", "personas")
"""Fields that hold people's words."""
PATHS = ("file", "train", "test", "judgements", "study", "tasks", "own_tasks", "members", "folder", "path")
"""Fields that hold paths, in which folders may have random names."""
MODELS = ("model", "classifiers")
"""Fields that hold a model's name or a folder."""
ADDRESSES = ("api_base", "endpoint")
"""Fields that hold addresses, in which hosts and paths may hold the number of an account."""


def holds_secret(name: str) -> bool:
    """Whether a parameter of such a name holds a secret (``aws_secret_access_key``, ``clientSecret``, ``api-key``)."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", name).lower()
    return bool(SECRET_WORDS.search(TOKENS_OF_TEXT.sub("_", snake)))


def values_to_find() -> list[str]:
    """The values of this process's environment that no file may hold; to be asked for once for a file."""
    found = (value for value in environment_secrets() if not NO_SECRET.fullmatch(value))
    return [value for value in found if len(value) >= SHORTEST and re.search(r"\d", value)]


def secret_format(text: str, values: Sequence[str] | None = None, *, links: bool = True) -> str | None:
    """What kind of secret a text contains by its format, or as one of the environment's ``values``; null for none.

    Without ``links``, a key in an address passes: a published link to a data set may hold one.
    """
    if any(value in text for value in (values_to_find() if values is None else values)):
        return "a secret of the environment"
    if links and "=" in text and "://" in text and any(holds_secret(name) for name in QUERY.findall(text)):
        return "a secret in an address"
    if any(map(_authorizes, HEADER.finditer(text))):
        return "an authorization header"
    return next((kind for kind, pattern in FORMATS.items() if pattern.search(text)), None)


def _authorizes(header: re.Match[str]) -> bool:
    """Whether it is a header: "a basic COVID-19-related question" is none."""
    if header["named"]:
        return True
    if header["scheme"].lower() == "bearer":
        return is_random(header["token"])
    try:
        login = base64.b64decode(header["token"], validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return False
    return ":" in login and login.isprintable()


def is_random(text: str) -> bool:
    """Whether a name contains a long random string."""
    return any(_is_random(piece) for piece in PIECE.findall(text))


def _is_random(piece: str) -> bool:
    kinds = ["0" if c.isdigit() else "a" if c.islower() else "A" for c in piece]
    changes = sum(a != b for a, b in itertools.pairwise(kinds)) / (len(piece) - 1)
    counts = Counter(piece)
    bits = -sum(n / len(piece) * math.log2(n / len(piece)) for n in counts.values())
    return "0" in kinds and bits > RANDOM_BITS and changes > RANDOM_CHANGES.get(len(set(kinds)), 1.0)


def secrets(value: Any) -> Iterator[tuple[str, str]]:
    """Fields of a parsed file that hold a secret, with what kind of one; never the value."""
    return _secrets(value, (), values_to_find())


def _secrets(value: Any, place: tuple[str, ...], values: Sequence[str]) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            here = (*place, str(name))
            if kind := secret_format(str(name), values):
                yield f"a name in {'.'.join(place) or 'the file'}", kind
            elif "params" in place and holds_secret(str(name)) and item not in (None, "", True, False):
                yield ".".join(here), "a secret by its name"
            else:
                yield from _secrets(item, here, values)
    elif isinstance(value, list | tuple | set):
        for number, item in enumerate(value):
            yield from _secrets(item, (*place, str(number)), values)
    elif isinstance(value, str) and (kind := _kind(value, place, values)):
        yield ".".join(place), kind


def _kind(value: str, place: tuple[str, ...], values: Sequence[str]) -> str | None:
    kind = secret_format(value, values, links="citation" not in place)
    return kind or ("a long random string" if is_random(_names_in(value, place)) else None)


def _names_in(value: str, place: tuple[str, ...]) -> str:
    """What of a field's value is a name that a person chose, and so is not random."""
    named = [part for part in place if not part.isdigit()]
    last = named[-1] if named else ""
    if any(part in TEXTS for part in named) or last in PATHS:
        return ""
    if (last in HASHES and HEX.fullmatch(value)) or (last in MODELS and value.startswith(("./", "../", "/", "~"))):
        return ""
    if last in ADDRESSES and "://" in value:
        with contextlib.suppress(ValueError):  # said where addresses are read
            return urlsplit(value).query
    return value
