"""`python -m harness.space`: print the reference page of space files, or write it and their JSON schema."""

import argparse

from harness.common.tolerant_output import tolerant_output
from harness.space.reference import PAGE_FILE, ROOT, SCHEMA_FILE, page, schema

parser = argparse.ArgumentParser(prog="python -m harness.space", description="Print the reference page of space files.")
parser.add_argument("--write", action="store_true", help=f"write {PAGE_FILE} and {SCHEMA_FILE} instead")
with tolerant_output():
    if parser.parse_args().write:
        for name, text in ((PAGE_FILE, page()), (SCHEMA_FILE, schema())):
            (ROOT / name).write_text(text, encoding="utf-8")
            print(name)
    else:
        print(page(), end="")
