"""The rules of the house that linters cannot see.

What may be done in one place only is done there; imports point down; modules and functions stay
small enough to read.
"""

import ast
import io
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

import arbees_feed

PACKAGE = Path(arbees_feed.__file__).parent
ROOT = PACKAGE.parent
MODULES = sorted(PACKAGE.rglob("*.py"))

MODULE_LINES = 400
FUNCTION_CODE_LINES = 40

# What may be done in one place only, and where: a file, or a folder with its slash.
RESERVED: dict[str, tuple[str, ...]] = {
    # Catching everything hides bugs; the supervisor counts and shows them.
    "except Exception": ("supervisor.py",),
    # Waiting is retrying or pacing: the one retry loop, and the simulated venues' own pace.
    "asyncio.sleep": ("supervisor.py", "sim/"),
    # Tasks without an owner; a TaskGroup owns its own, and the supervisor each run of a service.
    "asyncio.create_task": ("supervisor.py",),
    "asyncio.ensure_future": (),
    "os.environ": ("config/",),
    "os.getenv": ("config/",),
    "print": ("cli/", "ops/probe.py"),
}
IGNORED_TOKENS = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def where(module: Path) -> str:
    return module.relative_to(PACKAGE).as_posix()


def innocent_nodes(tree: ast.AST) -> set[int]:
    """Return the ids of defaults of parameters and fields, and of the function in `sleep(0)`.

    A default is there to be replaced; sleeping for no time waits for nothing, it lets others run.
    """
    innocent: set[int] = set()
    for node in ast.walk(tree):
        match node:
            case ast.arguments(defaults=positional, kw_defaults=keyword):
                innocent.update(id(default) for default in (*positional, *keyword))
            case ast.AnnAssign(value=ast.Attribute() as default):
                innocent.add(id(default))
            case ast.Call(func=ast.Attribute(attr="sleep") as sleep, args=[ast.Constant(value=0)]):
                innocent.add(id(sleep))
    return innocent


def used_names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield the things that *tree* does and that may be reserved, with their lines."""
    innocent = innocent_nodes(tree)
    for node in ast.walk(tree):
        match node:
            case ast.ExceptHandler(type=caught) if catches_everything(caught):
                yield "except Exception", node.lineno
            case ast.Attribute(value=ast.Name(id=module), attr=attr) if id(node) not in innocent:
                yield f"{module}.{attr}", node.lineno
            case ast.ImportFrom(module=str(module), names=names):
                for alias in names:
                    yield f"{module}.{alias.name}", node.lineno
            case ast.Call(func=ast.Name(id=name)):
                yield name, node.lineno


def catches_everything(caught: ast.expr | None) -> bool:
    match caught:
        case None | ast.Name(id="Exception" | "BaseException"):
            return True
        case ast.Tuple(elts=elements):
            return any(catches_everything(element) for element in elements)
        case _:
            return False


def offences(tree: ast.AST, place: str) -> list[str]:
    return [
        f"{place}:{line}: {name} belongs in {' or '.join(RESERVED[name]) or 'no place'}"
        for name, line in used_names(tree)
        if name in RESERVED and not place.startswith(RESERVED[name])
    ]


@pytest.mark.parametrize("module", MODULES, ids=where)
def test_reserved_things_are_done_where_they_belong(module: Path) -> None:
    """Retrying, catching everything and reading the environment each have one home."""
    assert offences(ast.parse(module.read_text()), where(module)) == []


@pytest.mark.parametrize(
    "code",
    [
        "try: pass\nexcept Exception: pass",
        "try: pass\nexcept: pass",
        "try: pass\nexcept (ValueError, BaseException): pass",
        "async def f(): await asyncio.sleep(1)",
        "from asyncio import sleep",
        "asyncio.create_task(f())",
        "os.environ['A']",
        "from os import environ",
        "print(1)",
    ],
)
def test_this_test_finds_what_it_looks_for(code: str) -> None:
    assert len(offences(ast.parse(code), "core/book.py")) == 1


@pytest.mark.parametrize(
    "code",
    [
        "def f(*, sleep=asyncio.sleep): ...",
        "class A:\n    sleep: Sleep = asyncio.sleep",
        "async def f(): await asyncio.sleep(0)",
    ],
)
def test_an_injected_sleep_and_letting_others_run_are_no_offence(code: str) -> None:
    assert offences(ast.parse(code), "core/book.py") == []


def code_lines(node: Function, occupied: set[int]) -> int:
    """Return how many lines of *node* hold code: no blanks, comments or docstring."""
    own = {n for n in range(node.lineno, (node.end_lineno or node.lineno) + 1) if n in occupied}
    first = node.body[0]
    if ast.get_docstring(node, clean=False) is not None:
        own -= set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return len(own)


def occupied_lines(text: str) -> set[int]:
    """Return the numbers of the lines that hold anything but blanks and comments."""
    return {
        line
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type not in IGNORED_TOKENS
        for line in range(token.start[0], token.end[0] + 1)
    }


def long_functions(text: str) -> list[str]:
    occupied = occupied_lines(text)
    return [
        f"{node.name} has {length} code lines"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, Function)
        and (length := code_lines(node, occupied)) > FUNCTION_CODE_LINES
    ]


@pytest.mark.parametrize("module", MODULES, ids=where)
def test_modules_and_functions_are_small(module: Path) -> None:
    text = module.read_text()
    assert len(text.splitlines()) <= MODULE_LINES, f"{where(module)} is too long"
    assert long_functions(text) == [], where(module)


def test_long_functions_are_found_and_prose_is_free() -> None:
    body = "    x = 1\n" * FUNCTION_CODE_LINES
    assert long_functions(f"def f():\n{body}") == [f"f has {FUNCTION_CODE_LINES + 1} code lines"]
    prose = '    """Say.\n\n    Much.\n    """\n' + "    # why\n\n" * 50
    assert long_functions(f"def f():\n{prose}    return 1\n") == []


def test_imports_point_down() -> None:
    """The layers and contracts of pyproject.toml, judged by import-linter."""
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    result = subprocess.run(
        [sys.executable, "-c", code, "--no-cache", "--no-logo"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
