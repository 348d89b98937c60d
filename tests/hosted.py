"""Build tests of single kernel files as programs of this machine."""
import os
import platform

import pytest

from trees import ROOT, run

HOST = ROOT / "tests" / "host"
CC = os.environ.get("HOSTCC", "cc")
FLAGS = ["-std=gnu17", "-g", "-Wall", "-Wextra", "-Werror", "-fno-builtin",
         "-fno-sanitize-recover=all"]
on_x86_64 = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"),
                               reason="the kernel's code is an x86-64's")


def build(name, folder, out, *flags, link=()):
    """Compile host/test_NAME.c, which includes a file of the tree FOLDER, and
    link it with the host's side."""
    objects = []
    for source, includes in ((f"test_{name}", ["-I", folder, "-I", HOST]),
                             (f"{name}_host", []), ("host", [])):
        objects.append(out / f"{source}.o")
        run([CC, *FLAGS, *flags, *includes, "-c", HOST / f"{source}.c",
             "-o", objects[-1]])
    run([CC, *FLAGS, *flags, *link, *objects, "-o", out / f"test_{name}"])
    return out / f"test_{name}"
