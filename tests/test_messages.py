"""The errors and warnings that a user can meet, in one table to read: does each say what happened and what to do?

The table, ``messages.txt``, is made from the code. When a message is added or changed, this test fails until the table
is made again; read the lines that changed as a user who meets them for the first time.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TABLE = Path(__file__).with_name("messages.txt")
COMMAND = "pytest tests/test_messages.py --regenerate-golden"
ERRORS = {"UserError": "UserError", "RunError": "RunError"}
"""Names of the errors of ``tasks.errors`` that are shown as one line; their subclasses are found in the code."""


def modules() -> dict[str, ast.Module]:
    """The syntax tree of each module, by its path."""
    paths = [path for room in ("flows", "tasks") for path in sorted((ROOT / room).rglob("*.py"))]
    return {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def error_classes(trees: dict[str, ast.Module]) -> dict[str, str]:
    """Each class that is one of ``ERRORS`` or below it, with the one that it is below."""
    found = dict(ERRORS)
    classes = [node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    while more := {
        node.name: found[base.id]
        for node in classes
        for base in node.bases
        if node.name not in found and isinstance(base, ast.Name) and base.id in found
    }:
        found |= more
    return found


def messages(tree: ast.Module, classes: dict[str, str]) -> Iterator[str]:
    """The errors that a module makes and the warnings that it logs: kind and template of the message."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id=name), args=[text, *_]) if name in classes:
                yield f"{classes[name]}: {template(text)}"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="LOGGER"), attr="warning"), args=[text, *_]):
                yield f"warning: {template(text)}"


def template(node: ast.expr) -> str:
    """A message with a name in braces for each value, which shows what is filled in but not how it is computed."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(template(part) for part in parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return template(left) + template(right)
        case ast.FormattedValue(value=ast.BinOp()):
            return "{...}"
        case ast.FormattedValue(value=value) | ast.Call(args=[value], keywords=[]) | ast.BoolOp(values=[value, *_]):
            return template(value)
        case ast.IfExp(body=body, orelse=otherwise):
            return f"[{template(body)}|{template(otherwise)}]"
        case ast.Call(func=ast.Attribute(attr=name), args=[]):
            return f"{{{name}}}"
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.Subscript(slice=ast.Constant(value=str(name))):
            return f"{{{name}}}"
        case _:
            return "{...}"


def table() -> str:
    trees = modules()
    classes = error_classes(trees)
    found = {path: sorted({*messages(tree, classes)}) for path, tree in trees.items()}
    return "\n".join("\n  ".join([path, *lines]) + "\n" for path, lines in found.items() if lines)


def test_every_message_is_in_the_table(regenerate: bool) -> None:
    made = table()
    if regenerate:
        TABLE.write_text(made, encoding="utf-8")
    assert TABLE.read_text(encoding="utf-8") == made, f"run `{COMMAND}`, then read the lines that changed"


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("raise RunError('the disk is full; free some space')", "RunError: the disk is full; free some space"),
        ("raise unreadable(UserError(f'{path}: no {kind!r}' + hint))", "UserError: {path}: no {kind}{hint}"),
        ('error = Sub(f\'at {a.uri}, {b["key"]}{x if y else ""}\')', "RunError: at {uri}, {key}[{x}|]"),
        ("raise RunError(f'{n + 1} of {str(path)!r} and {[x for x in y]}')", "RunError: {...} of {path} and {...}"),
        ("LOGGER.warning('%s does not answer', name)", "warning: %s does not answer"),
    ],
)
def test_a_message_is_found_with_the_names_of_its_values(code: str, line: str) -> None:
    tree = ast.parse(f"class Sub(RunError): ...\n{code}")
    assert [*messages(tree, error_classes({"a.py": tree}))] == [line]
