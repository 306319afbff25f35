"""`python -m harness.space`: the reference page of space files, their JSON schema, the parameters of a method."""

import argparse
import sys

from pydantic_core import PydanticCustomError

from harness.common.tolerant_output import tolerant_output
from harness.space.reference import PAGE_FILE, ROOT, SCHEMA_FILE, describe_method, page, schema

parser = argparse.ArgumentParser(prog="python -m harness.space", description="Print the reference page of space files.")
parser.add_argument("--write", action="store_true", help=f"write {PAGE_FILE} and {SCHEMA_FILE} instead")
parser.add_argument(
    "--method", metavar="NAME", help="print the parameters of a method instead; NAME may be module:Class of your own"
)
with tolerant_output():
    options = parser.parse_args()
    if options.method:
        try:
            print(describe_method(options.method))
        except PydanticCustomError as error:
            print(f"--method: {error.message()}", file=sys.stderr)
            sys.exit(2)
    elif options.write:
        for name, text in ((PAGE_FILE, page()), (SCHEMA_FILE, schema())):
            (ROOT / name).write_text(text, encoding="utf-8")
            print(name)
    else:
        print(page(), end="")
