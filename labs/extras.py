"""What a handout has for the places where students work: a dev container, and
for GitHub Classroom a workflow."""
import pathlib

from packages import packages

HERE = pathlib.Path(__file__).resolve().parent


def workflow():
    return (HERE / "classroom/grade.yml").read_text().replace("@PACKAGES@", " ".join(packages()))


def add(folder, classroom=False):
    """Write .devcontainer/, and if asked .github/workflows/grade.yml."""
    (folder / ".devcontainer").mkdir()
    for name in ("Dockerfile", "devcontainer.json"):
        (folder / ".devcontainer" / name).write_text((HERE / "devcontainer" / name).read_text())
    if classroom:
        (folder / ".github/workflows").mkdir(parents=True)
        (folder / ".github/workflows/grade.yml").write_text(workflow())
