"""Constraints: comparisons of arithmetic over settings and metrics, such as `epochs * batch_size <= 4096`.

A constraint is parsed into Python's syntax tree and walked by the few rules below; nothing is ever given to `eval`.
What a walk returns is a violation, as Optuna wants it: for a ≤ b the number a − b, so that at most 0 is kept and
above 0 is broken, the more the worse. A chain a ≤ b ≤ c has the largest of its links.

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

from harness.space.errors.problems import complaint, nearest, quote, short
from harness.training.config.run_config import RunConfig

METRICS = (
    "train_loss",
    "meta_loss",
    "meta_accuracy",
    "meta_calibration_error",
    "val_loss",
    "val_accuracy",
    "val_calibration_error",
    "label_accuracy",
    "noisy_labels_corrected",
    "clean_labels_kept",
    "label_entropy",
    "label_moved",
    "mistakes_auc",
    "label_gradient_norm",
    "label_step_norm",
    "lr",
    "seconds",
)
"""What `harness.training.metrics` defines, by name: that module needs torch, and this one must not."""

NAMES = tuple(
    dict.fromkeys(
        [
            *(name for name, field in RunConfig.model_fields.items() if field.annotation in (int, float)),
            *METRICS,
        ]
    )
)
"""What a constraint may speak of: settings that are numbers, and metrics. `lr` is the setting."""

LONGEST = 200  # characters; also keeps Python's parser from nesting too deep

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
    """One comparison that a trial has to keep."""

    model_config = ConfigDict(frozen=True, strict=True)
    root: str = Field(
        max_length=LONGEST,
        description="a comparison over settings and metrics: `epochs * batch_size <= 4096`",
    )

    @field_validator("root")
    @classmethod
    def _readable(cls, text: str) -> str:
        try:
            tree = _parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise complaint("a comparison", quote(text), "write one such as lr * label_lr <= 1.0") from None
        _check(tree)
        if not _names(tree):
            raise complaint("a comparison of settings or metrics", "no name", "name one") from None
        return text

    @property
    def names(self) -> frozenset[str]:
        """The settings and metrics that it speaks of."""
        return _names(_parse(self.root))

    @property
    def of_settings(self) -> bool:
        """Whether it speaks of settings alone, and so is known before a trial starts."""
        return self.names <= RunConfig.model_fields.keys()

    def violation(self, values: Mapping[str, float]) -> float:
        """How far `values` break it: at most 0 where they keep it, infinite where it has no value (such as 1 / 0).

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
        warnings.simplefilter("ignore")  # Python's advice on odd code; what is not a comparison is refused anyway
        body = ast.parse(text.strip(), mode="eval").body
    if not isinstance(body, ast.Compare):
        raise SyntaxError("no comparison")
    return body


def _names(tree: ast.AST) -> frozenset[str]:
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return frozenset(n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in called)


def _check(tree: ast.Compare) -> None:
    """Raise a complaint unless `_evaluate` knows every node."""
    for comparator in tree.ops:
        if not isinstance(comparator, ast.Lt | ast.LtE | ast.Gt | ast.GtE):
            raise complaint("<, <=, > or >=", "another comparison", "compare with one of these")
    for side in (tree.left, *tree.comparators):
        _check_sum(side)


def _check_sum(node: ast.expr) -> None:
    match node:
        case ast.Constant(value=bool() | str() | bytes() | complex() | None):
            raise complaint("numbers and names", quote(ast.unparse(node)), "write a number")
        case ast.Constant(value=int() | float() as number):
            if not math.isfinite(_finite(number)):
                raise complaint("numbers that a float can hold", "a larger one", "write a smaller number")
        case ast.Name(id=name):
            if name not in NAMES:
                raise complaint("a setting that is a number, or a metric", short(name), nearest(name, NAMES))
        case ast.BinOp(op=op) if type(op) in _BINARY:
            _check_sum(node.left)
            _check_sum(node.right)
        case ast.UnaryOp(op=op) if type(op) in _UNARY:
            _check_sum(node.operand)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _CALLS:
            arity = _CALLS[name][1]
            if not args or (arity is not None and len(args) != arity):
                raise complaint(f"{arity or 'one or more'} numbers for {name}", str(len(args)), "give it what it takes")
            for argument in args:
                _check_sum(argument)
        case _:
            known = f"numbers, names, + - * / ** and {', '.join(_CALLS)}"
            raise complaint(known, quote(ast.unparse(node)), "write it with these")


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
    raise TypeError(ast.dump(node))  # _check has let nothing else through


def _link(comparator: ast.cmpop, left: float, right: float) -> float:
    """a ≤ b is broken by a − b; a ≥ b by b − a; the strict ones by equality too, if only just."""
    gap = left - right if isinstance(comparator, _AT_MOST) else right - left
    if math.isnan(gap):  # NaN is not ordered, and max would lose it
        return math.inf
    return sys.float_info.min if gap == 0 and isinstance(comparator, _STRICT) else gap
