"""`python -m harness.space`: the reference page of space files, their JSON schema, the parameters of a method."""

import argparse
import sys
from collections.abc import Sequence

from pydantic_core import PydanticCustomError

from harness import cli
from harness.common.errors import InputError
from harness.space.reference import PAGE_FILE, ROOT, SCHEMA_FILE, describe_method, page, schema


@cli.command()
def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m harness.space", description="Print the reference page of space files."
    )
    parser.add_argument("--write", action="store_true", help=f"write {PAGE_FILE} and {SCHEMA_FILE} instead")
    parser.add_argument(
        "--method", metavar="NAME", help="print the parameters of a method instead; NAME may be module:Class"
    )
    options = parser.parse_args(arguments)
    if options.method:
        try:
            print(describe_method(options.method))
        except PydanticCustomError as error:
            raise InputError(f"--method: {error.message()}") from None
    elif options.write:
        for name, text in ((PAGE_FILE, page()), (SCHEMA_FILE, schema())):
            (ROOT / name).write_text(text, encoding="utf-8")
            print(name)
    else:
        print(page(), end="")
    return cli.DONE


if __name__ == "__main__":
    sys.exit(main())
