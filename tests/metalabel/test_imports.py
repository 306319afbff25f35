"""`harness.metalabel` needs torch alone."""

import subprocess
import sys

PROGRAM = """
import sys, torch.func, torch.nn.utils.parametrizations, torch.optim
before = set(sys.modules)
import harness.metalabel
added = {name for name in set(sys.modules) - before if not name.startswith(("harness.metalabel", "torch."))}
print(*sorted(added - {"harness"} - sys.stdlib_module_names))
"""


def test_the_maths_imports_torch_and_nothing_else() -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""
