"""What the command line of `harness.semantics` prints: one table, one sentence."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from harness.semantics.run import Semantics, signed


def show(outcome: Semantics) -> None:
    console = Console(highlight=False)
    found = outcome.findings
    console.print(results_table(found), "", sep="\n")
    console.print(found["sentence"], markup=False)
    console.print("", f"{'all numbers:':<13}{outcome.file}", sep="\n", soft_wrap=True, markup=False)


def results_table(found: Mapping[str, Any]) -> Table:
    """The arms, those that agree best first; those whose labels order nothing last."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("labels of", no_wrap=True)
    table.add_column("runs", justify="right")
    table.add_column("mass on\nothers", justify="right")
    table.add_column("rank\ncorr.", justify="right")
    table.add_column("95 % interval\nover classes", justify="right", no_wrap=True)
    table.add_column("p", justify="right")
    table.add_column("most alike", no_wrap=True)
    ranked = sorted(found["arms"].items(), key=lambda item: -_rho(item[1]))
    for arm, one in ranked:
        agreement = one["symmetric"]
        flat = agreement["rho"] is None
        low, high = agreement["ci95"]
        table.add_row(
            f"{arm}-{one['trial']}",
            str(one["runs"]),
            f"{100 * one['mass']:.1f} %",
            "–" if flat else signed(agreement["rho"]),
            "–" if flat else f"[{signed(low)}, {signed(high)}]",
            "–" if flat else f"{agreement['p_value']:.2g}",
            "" if flat else ", ".join(f"{i}~{j}" for i, j, _ in one["most_alike"][:2]),
        )
    return table


def _rho(one: Mapping[str, Any]) -> float:
    rho = one["symmetric"]["rho"]
    return -2.0 if rho is None else float(rho)
