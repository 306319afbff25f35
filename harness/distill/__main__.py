"""The command line of `harness.distill.distill`."""

import sys
from collections.abc import Sequence

from harness import cli
from harness.distill.run import DEFAULT_SEEDS, distill
from harness.distill.students import Students

EXAMPLES = """\
examples:
  python -m harness.distill label_lr
  python -m harness.distill label_lr --student-width 8 --name tiny-students
  python -m harness.distill label_lr --seeds 20             go on with it, up to 20 seeds
  python -m harness.distill label_lr --set distill_temperature=4.0

exit codes: 0 done · 1 no teacher, or no student completed · 2 bad input · 3 disk full
130 interrupted; state kept"""


@cli.command("the state is kept, the same command goes on")
def main(arguments: Sequence[str] | None = None) -> int:
    default = Students()
    parser = cli.parser(
        "harness.distill",
        "Distil the best model of each arm of a sweep into the same small student; compare these.",
        EXAMPLES,
    )
    parser.add_argument("name", metavar="NAME", help="the sweep of the teachers, a folder in --runs-dir")
    parser.add_argument("--student-model", metavar="MODEL", help="model of the students (default: the teachers')")
    cli.add_count(parser, "--student-width", "width of the students (default: a quarter of the teachers')")
    cli.add_count(
        parser,
        "--epochs",
        "epochs of a student (default: those of the longest teacher, searched if the teachers' were)",
    )
    cli.add_count(parser, "--trials", "trials of each student", default=default.trials)
    cli.add_count(parser, "--seeds", "fresh seeds of the comparison", default=DEFAULT_SEEDS)
    parser.add_argument("--name", dest="students", metavar="NAME", help="the students' sweep (default: NAME-distill)")
    cli.add_overrides(parser, "override a key of the students' space, or fix a setting of theirs")
    cli.add_run_arguments(parser)
    options = parser.parse_args(arguments)
    concurrency = [] if options.concurrency is None else [f"search.concurrency={options.concurrency}"]
    students = Students(
        model=options.student_model,
        width=options.student_width,
        epochs=options.epochs,
        trials=options.trials,
        changes=[*options.overrides, *concurrency],
    )
    outcome = distill(
        options.name,
        students,
        students_name=options.students,
        seeds=options.seeds,
        concurrency=options.concurrency,
        **cli.run_options(options),
    )
    from harness.distill.terminal import show

    show(outcome)
    return cli.DONE


if __name__ == "__main__":
    sys.exit(main())
