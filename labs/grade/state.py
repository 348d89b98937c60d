"""Questions about a machine's memory, asked of gdb.

A State is a core: the memory of a machine, from outside, with the kernel's
types and symbols. tools/gdb_jos.py of the tree knows its structures.
"""
import json
import subprocess
import tempfile

from grade import slowness


class State:
    def __init__(self, core, kernel, tree):
        self.core, self.kernel, self.tree = core, kernel, tree

    def ask(self, expression, setup=""):
        """The value of a Python expression in gdb, as JSON carries it.

        `jos` is tools/gdb_jos.py, `gdb` is gdb's own module, c(TEXT) is the
        value of a C expression as an integer. setup: Python lines before it."""
        with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
            script.write("import json, sys\n"
                         "sys.dont_write_bytecode = True\n"
                         "sys.path.insert(0, 'tools')\n"
                         "import gdb\n"
                         "try:\n    import gdb_jos as jos\nexcept ImportError:\n    jos = None\n"
                         "def c(text):\n    return int(gdb.parse_and_eval(text))\n"
                         f"{setup}\n"
                         f"print('\\n@@' + json.dumps({expression}, default=int))\n")
            script.flush()
            done = subprocess.run(
                ["gdb", "-q", "-nx", "-batch", "-ex", "set pagination off",
                 "-ex", f"core {self.core}", "-x", script.name, str(self.kernel)],
                cwd=self.tree, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60 * slowness())
        for line in done.stdout.splitlines():
            if line.startswith("@@"):
                return json.loads(line[2:])
        raise AssertionError("the kernel's structures can't be read: "
                             + (done.stderr.strip().splitlines() or ["gdb said nothing"])[-1][:300])

    def value(self, expression):
        """A C expression of the kernel, as an integer."""
        return self.ask(f"c({expression!r})")
