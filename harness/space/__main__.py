"""`python -m harness.space`: print or write the reference page and the JSON schema of space files."""

import argparse

from harness.space.reference import PAGE_FILE, ROOT, SCHEMA_FILE, page, schema


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m harness.space", description="Print the reference page of space files."
    )
    parser.add_argument("--schema", action="store_true", help="print the JSON schema instead")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE_FILE} and {SCHEMA_FILE} instead")
    options = parser.parse_args()
    if options.write:
        for name, text in ((PAGE_FILE, page()), (SCHEMA_FILE, schema())):
            (ROOT / name).write_text(text, encoding="utf-8")
            print(name)
    else:
        print(schema() if options.schema else page(), end="")


if __name__ == "__main__":
    main()
