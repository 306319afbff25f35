"""Constraints: comparisons of arithmetic over settings and metrics, such as `epochs * batch_size <= 4096`.

A constraint is parsed into Python's syntax tree, and that into functions by the rules below, without `eval`. The result
is the violation that Optuna expects: a − b for a ≤ b, which is satisfied up to 0; of a chain a ≤ b ≤ c the largest one.

    comparison   sum (< | <= | > | >=) sum …
    sum          numbers, names, + - * / **, ( ), and abs, min, max, log, exp, sqrt of them
"""

import ast
import math
import operator
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

from pydantic import ConfigDict, Field, RootModel, field_validator

from harness.space.errors.problems import quote
from harness.space.errors.validation import invalid
from harness.training.config.registry import METRICS
from harness.training.config.run_config import setting_fields


def names_for(methods: Iterable[str]) -> tuple[str, ...]:
    """Names that a constraint may use: numbers among the settings of the methods' runs, and metrics."""
    numbers = [name for name, field in setting_fields(methods).items() if field.annotation in (int, float)]
    return tuple(dict.fromkeys([*numbers, *METRICS]))  # `lr` is the setting


MAX_LENGTH = 200  # characters; it also limits the nesting

Values = Mapping[str, float]
Term = Callable[[Values], float]

_OPERATORS: dict[type[ast.AST], Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: math.pow,  # of floats, and so bounded: 9 ** 9 ** 9 overflows at once
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_FUNCTIONS: dict[str, tuple[Callable[..., float], int | None]] = {
    "abs": (abs, 1),
    "min": (min, None),
    "max": (max, None),
    "log": (math.log, 1),
    "exp": (math.exp, 1),
    "sqrt": (math.sqrt, 1),
}


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
        if not _parse(text)[0]:
            raise invalid("a comparison of settings or metrics", "no name", "name one")
        return text

    @property
    def names(self) -> frozenset[str]:
        """Settings and metrics in the constraint."""
        return _parse(self.root)[0]

    def violation(self, values: Values) -> float:
        """Violation by `values` of the names: at most 0 if satisfied, infinite if undefined (such as 1 / 0)."""
        _, links = _parse(self.root)
        try:
            gaps = [link(values) for link in links]
        except (ArithmeticError, ValueError):
            return math.inf
        return math.inf if any(map(math.isnan, gaps)) else max(gaps)

    def __str__(self) -> str:
        return self.root


@lru_cache(maxsize=128)
def _parse(text: str) -> tuple[frozenset[str], list[Term]]:
    """Names in a constraint, and the violation of each link of its chain: a − b for a ≤ b."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Python, about odd code
            tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        tree = None
    if not isinstance(tree, ast.Compare):
        raise invalid("a comparison", quote(text), "write one such as lr * label_lr <= 1.0")
    sides = [_term(side) for side in (tree.left, *tree.comparators)]
    links = [_link(*link) for link in zip(tree.ops, sides, sides[1:], strict=False)]
    return frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name)) - _FUNCTIONS.keys(), links


def _link(comparator: ast.cmpop, left: Term, right: Term) -> Term:
    if not isinstance(comparator, ast.Lt | ast.LtE | ast.Gt | ast.GtE):
        raise invalid("<, <=, > or >=", "another comparison", "compare with one of these")
    if isinstance(comparator, ast.Gt | ast.GtE):
        left, right = right, left
    if isinstance(comparator, ast.LtE | ast.GtE):
        return lambda values: left(values) - right(values)
    return lambda values: left(values) - right(values) or sys.float_info.min  # equality violates a strict one


def _term(node: ast.expr) -> Term:
    """The function of the values that a part of a comparison stands for."""
    match node:
        case ast.Constant(value=bool() | str() | bytes() | complex() | None):
            raise invalid("numbers and names", quote(ast.unparse(node)), "write a number")
        case ast.Constant(value=int() | float() as number):
            if not abs(number) <= sys.float_info.max:
                raise invalid("numbers that a float can hold", "a larger one", "write a smaller number")
            return lambda values: float(number)
        case ast.Name(id=name):
            if name in _FUNCTIONS:
                raise invalid("a setting that is a number, or a metric", name, f"write {name}(…)")
            return lambda values: float(values[name])
        case ast.BinOp(op=op) if type(op) in _OPERATORS:
            return _call(_OPERATORS[type(op)], node.left, node.right)
        case ast.UnaryOp(op=op) if type(op) in _OPERATORS:
            return _call(_OPERATORS[type(op)], node.operand)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            function, arity = _FUNCTIONS[name]
            if not args or (arity is not None and len(args) != arity):
                raise invalid(f"{arity or 'one or more'} numbers for {name}", str(len(args)), "pass that many")
            return _call(function, *args)
    known = f"numbers, names, + - * / ** and {', '.join(_FUNCTIONS)}"
    raise invalid(known, quote(ast.unparse(node)), "write it with these")


def _call(function: Callable[..., float], *arguments: ast.expr) -> Term:
    terms = [_term(argument) for argument in arguments]
    return lambda values: function(*(term(values) for term in terms))
