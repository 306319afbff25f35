"""Constraints: comparisons of arithmetic over settings and metrics, such as `epochs * batch_size <= 4096`.

A constraint is parsed into Python's syntax tree and evaluated by the rules below, without `eval`. The result is the
violation that Optuna expects: a − b for a ≤ b, which is satisfied up to 0. The violation of a chain a ≤ b ≤ c is the
largest of its links.

    comparison   sum (< | <= | > | >=) sum …
    sum          numbers, names, + - * / **, ( ), and abs, min, max, log, exp, sqrt of them
"""

import ast
import math
import operator
import sys
import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache

from pydantic import ConfigDict, Field, RootModel, field_validator

from harness.space.errors.problems import nearest, quote, short
from harness.space.errors.validation import invalid
from harness.training.config.registry import METRICS
from harness.training.config.run_config import RunConfig

_NUMERIC_SETTINGS = [name for name, field in RunConfig.model_fields.items() if field.annotation in (int, float)]
NAMES = tuple(dict.fromkeys([*_NUMERIC_SETTINGS, *METRICS]))
"""Names in a constraint: numeric settings, and metrics. `lr` is the setting."""

MAX_LENGTH = 200  # characters; it also limits the nesting

_BINARY: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: math.pow,  # of floats, and so bounded: 9 ** 9 ** 9 overflows at once
}
_UNARY: dict[type[ast.unaryop], Callable[[float], float]] = {ast.USub: operator.neg, ast.UAdd: operator.pos}
_CALLS: dict[str, tuple[Callable[..., float], int | None]] = {
    "abs": (abs, 1),
    "min": (min, None),
    "max": (max, None),
    "log": (math.log, 1),
    "exp": (math.exp, 1),
    "sqrt": (math.sqrt, 1),
}
_AT_MOST = (ast.Lt, ast.LtE)
_STRICT = (ast.Lt, ast.Gt)


class Constraint(RootModel[str]):
    """A comparison that a trial has to satisfy."""

    model_config = ConfigDict(frozen=True, strict=True)
    root: str = Field(
        max_length=MAX_LENGTH,
        description="a comparison over settings and metrics: `epochs * batch_size <= 4096`",
    )

    @field_validator("root")
    @classmethod
    def _check_syntax(cls, text: str) -> str:
        try:
            tree = _parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise invalid("a comparison", quote(text), "write one such as lr * label_lr <= 1.0") from None
        _check(tree)
        if not _names(tree):
            raise invalid("a comparison of settings or metrics", "no name", "name one") from None
        return text

    @property
    def names(self) -> frozenset[str]:
        """Settings and metrics in the constraint."""
        return _names(_parse(self.root))

    def violation(self, values: Mapping[str, float]) -> float:
        """Violation by `values`: at most 0 if satisfied, infinite if undefined (such as 1 / 0).

        Raises:
            KeyError: a name of the constraint is not among `values`.
        """
        comparison = _parse(self.root)
        try:
            sides = [_evaluate(side, values) for side in (comparison.left, *comparison.comparators)]
        except (ArithmeticError, ValueError):
            return math.inf
        links = zip(comparison.ops, sides, sides[1:], strict=False)
        worst = max(_link(comparator, left, right) for comparator, left, right in links)
        return worst if not math.isnan(worst) else math.inf

    def __str__(self) -> str:
        return self.root


@lru_cache(maxsize=128)
def _parse(text: str) -> ast.Compare:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Python, about odd code
        body = ast.parse(text.strip(), mode="eval").body
    if not isinstance(body, ast.Compare):
        raise SyntaxError("no comparison")
    return body


def _names(tree: ast.AST) -> frozenset[str]:
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return frozenset(n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in called)


def _check(tree: ast.Compare) -> None:
    """Raise an error unless `_evaluate` supports every node."""
    for comparator in tree.ops:
        if not isinstance(comparator, ast.Lt | ast.LtE | ast.Gt | ast.GtE):
            raise invalid("<, <=, > or >=", "another comparison", "compare with one of these")
    for side in (tree.left, *tree.comparators):
        _check_operand(side)


def _check_operand(node: ast.expr) -> None:
    match node:
        case ast.Constant(value=bool() | str() | bytes() | complex() | None):
            raise invalid("numbers and names", quote(ast.unparse(node)), "write a number")
        case ast.Constant(value=int() | float() as number):
            if not math.isfinite(_finite(number)):
                raise invalid("numbers that a float can hold", "a larger one", "write a smaller number")
        case ast.Name(id=name):
            if name not in NAMES:
                raise invalid("a setting that is a number, or a metric", short(name), nearest(name, NAMES))
        case ast.BinOp(op=op) if type(op) in _BINARY:
            _check_operand(node.left)
            _check_operand(node.right)
        case ast.UnaryOp(op=op) if type(op) in _UNARY:
            _check_operand(node.operand)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _CALLS:
            arity = _CALLS[name][1]
            if not args or (arity is not None and len(args) != arity):
                raise invalid(f"{arity or 'one or more'} numbers for {name}", str(len(args)), "pass that many")
            for argument in args:
                _check_operand(argument)
        case _:
            known = f"numbers, names, + - * / ** and {', '.join(_CALLS)}"
            raise invalid(known, quote(ast.unparse(node)), "write it with these")


def _finite(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf


def _evaluate(node: ast.expr, values: Mapping[str, float]) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name):
            return float(values[name])
        case ast.BinOp():
            return _BINARY[type(node.op)](_evaluate(node.left, values), _evaluate(node.right, values))
        case ast.UnaryOp():
            return _UNARY[type(node.op)](_evaluate(node.operand, values))
        case ast.Call(func=ast.Name(id=name)):
            return _CALLS[name][0](*(_evaluate(argument, values) for argument in node.args))
    raise TypeError(ast.dump(node))  # excluded by _check


def _link(comparator: ast.cmpop, left: float, right: float) -> float:
    """Violation of one comparison: a − b for a ≤ b, b − a for a ≥ b; a strict one is violated by equality too."""
    gap = left - right if isinstance(comparator, _AT_MOST) else right - left
    if math.isnan(gap):  # max would lose it
        return math.inf
    return sys.float_info.min if gap == 0 and isinstance(comparator, _STRICT) else gap
