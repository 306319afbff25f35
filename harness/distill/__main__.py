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

exit codes: 0 done · 1 nothing to teach with, or nothing learned · 2 bad input · 3 disk full
130 interrupted; state kept"""


@cli.command("the state is kept, the same command goes on")
def main(arguments: Sequence[str] | None = None) -> int:
    default = Students()
    parser = cli.parser(
        "harness.distill",
        "Have the best of each arm of a sweep teach the same small student, and say whose students are better.",
        EXAMPLES,
    )
    parser.add_argument("name", metavar="NAME", help="the sweep of the teachers, a folder in --runs-dir")
    parser.add_argument("--student-model", metavar="MODEL", help="default: the teachers'")
    parser.add_argument(
        "--student-width", type=cli.positive_int, metavar="N", help="default: a quarter of the teachers'"
    )
    parser.add_argument(
        "--epochs",
        type=cli.positive_int,
        metavar="N",
        help="of a student (default: the longest teacher's; searched where the teachers' were)",
    )
    parser.add_argument(
        "--trials",
        type=cli.positive_int,
        default=default.trials,
        metavar="N",
        help=f"of each student, taught or not (default: {default.trials})",
    )
    parser.add_argument(
        "--seeds",
        type=cli.positive_int,
        default=DEFAULT_SEEDS,
        metavar="N",
        help=f"of the comparison (default: {DEFAULT_SEEDS})",
    )
    parser.add_argument(
        "--name", dest="students", metavar="NAME", help="of the students' sweep (default: NAME-distill)"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="override a key of the students' space, or fix a setting of theirs; repeatable",
    )
    cli.add_follow_up_arguments(parser)
    options = parser.parse_args(arguments)
    students = Students(
        model=options.student_model,
        width=options.student_width,
        epochs=options.epochs,
        trials=options.trials,
        changes=[
            *options.overrides,
            *([] if options.concurrency is None else [f"search.concurrency={options.concurrency}"]),
        ],
    )
    outcome = distill(
        options.name,
        students,
        students_name=options.students,
        seeds=options.seeds,
        runs_dir=options.runs_dir,
        address=options.address,
        tracking_uri=options.tracking_uri,
        concurrency=options.concurrency,
        verbose=options.verbose,
    )
    from harness.distill.terminal import show

    show(outcome)
    return cli.DONE


if __name__ == "__main__":
    sys.exit(main())
