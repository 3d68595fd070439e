"""The same text, up to case, punctuation and spacing, as one that was kept, whatever its label."""

from tasks.synthesis.filter import Check, Filter, Scene, quote, text_hash


def _build(scene: Scene) -> Check:
    seen: dict[str, str] = {}
    read = 0

    def check(text: str) -> str | None:
        nonlocal read
        for row in scene.kept[read:]:
            seen[text_hash(row.text)] = row.call
        read = len(scene.kept)
        first = seen.get(text_hash(text))
        return f"same as call {first}: {quote(text)}" if first else None

    return check


FILTER = Filter("duplicate", version=1, step="unique", build=_build)
