"""The lectures of the course, as chapters/lectures.yaml has them.

    for lecture in lectures.read("chapters/lectures.yaml"):
        lecture["number"], lecture["title"], lecture["demo"], …

Everything in the file is looked at before anything is used, and each fault is
called by its line.
"""

import os
import re

import yaml

from book import CHAPTER_NAME, BookError, text_faults

MINUTES = 75
# What a lecture, a scene of its demo and a step of a scene may have;
# what they must have comes first.
LECTURE = {"title": str, "chapters": list, "goals": list, "minutes": dict, "demo": list,
           "reading": list}
SCENE = {"tree": str, "run": str, "steps": list,
         "cpus": int, "mem": str, "vars": dict, "prompt": str}
STEP = {"say": str, "type": str, "key": str, "at": str, "see": list, "wait": int}
MUST = {"lecture": 5, "scene": 3, "step": 0}
TREE = re.compile(r"^(jos|upto-\d\d|lab[1-4])$")


class Text(str):
    """A string that knows where it stands."""


class Line(yaml.SafeLoader):
    """YAML whose mappings, lists and strings know their lines."""


class Map(dict):
    pass


class List(list):
    pass


def _mapping(loader, node):
    made = Map()
    made.line = node.start_mark.line + 1
    made.lines = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise BookError(f"chapters/{loader.file}:{key.start_mark.line + 1}: a name is one word")
        name = loader.construct_object(key)
        if name in made:
            raise BookError(f"chapters/{loader.file}:{key.start_mark.line + 1}: {name} is given twice")
        made[name] = loader.construct_object(value, deep=True)
        made.lines[name] = key.start_mark.line + 1
    return made


def _sequence(loader, node):
    made = List(loader.construct_object(item, deep=True) for item in node.value)
    made.line = node.start_mark.line + 1
    made.lines = [item.start_mark.line + 1 for item in node.value]
    return made


def _string(loader, node):
    made = Text(loader.construct_scalar(node))
    made.line = node.start_mark.line + 1
    return made


Line.add_constructor("tag:yaml.org,2002:map", _mapping)
Line.add_constructor("tag:yaml.org,2002:seq", _sequence)
Line.add_constructor("tag:yaml.org,2002:str", _string)


class Check:
    """Looks at all of the file and collects its faults."""

    def __init__(self, file, chapters, instructor):
        self.file = file
        self.chapters = chapters
        self.instructor = instructor
        self.faults = []

    def fault(self, line, what):
        self.faults.append(f"chapters/{self.file}:{line}: {what}")

    def fields(self, kind, value, line, known):
        """Is it a mapping with what it must have and nothing unknown?"""
        if not isinstance(value, dict):
            self.fault(line, f"a {kind} is a mapping")
            return False
        good = True
        for name in list(known)[:MUST[kind]]:
            if name not in value:
                self.fault(value.line, f"a {kind} needs {name}:")
                good = False
        for name, field in value.items():
            wanted = known.get(name)
            if not wanted:
                self.fault(value.lines[name], f"a {kind} has no {name}: ({', '.join(known)})")
                good = False
            elif not isinstance(field, wanted) or isinstance(field, bool) or field in ("", [], {}):
                what = {str: "text", list: "a list", dict: "a mapping", int: "a number"}[wanted]
                self.fault(value.lines[name], f"{name}: is not {what}")
                good = False
        return good

    def texts(self, values):
        for line, value in zip(values.lines, values):
            if not isinstance(value, str) or not value:
                self.fault(line, "not a text (quote what YAML takes for something else)")

    def lecture(self, value, line):
        if not self.fields("lecture", value, line, LECTURE):
            return
        self.texts(value["goals"])
        for at, topic in zip(value["chapters"].lines, value["chapters"]):
            self.chapter(at, topic)
        self.reading(value.get("reading", ()))
        minutes = value["minutes"]
        if not all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in minutes.values()):
            self.fault(minutes.line, "minutes: a number for each piece of the lecture")
        elif sum(minutes.values()) != MINUTES:
            self.fault(minutes.line, f"the minutes make {sum(minutes.values())}, not {MINUTES}")
        for at, scene in zip(value["demo"].lines, value["demo"]):
            self.scene(scene, at)

    def chapter(self, line, topic):
        """Is it a chapter that students have?"""
        if not isinstance(topic, str) or topic not in self.chapters:
            self.fault(line, f"no chapter is called {topic}")
        elif topic in self.instructor:
            self.fault(line, f"{topic} is the instructor's: students don't have it")
        else:
            return True
        return False

    def reading(self, items):
        """A chapter, or a chapter with a list of its sections."""
        for at, item in zip(items and items.lines, items):
            topic, sections = item, []
            if isinstance(item, dict) and len(item) == 1:
                (topic, sections), = item.items()
            if not self.chapter(at, topic):
                continue
            if not isinstance(sections, list):
                self.fault(at, "reading: a chapter, or a chapter with a list of sections")
            else:
                for section in sections:
                    if not isinstance(section, str) or section not in self.chapters[topic]:
                        self.fault(at, f"{topic} has no section {section}")

    def scene(self, value, line):
        if not self.fields("scene", value, line, SCENE):
            return
        if not TREE.match(value["tree"]):
            self.fault(value.lines["tree"], "tree: jos, upto-NN or labN")
        for at, step in zip(value["steps"].lines, value["steps"]):
            if self.fields("step", step, at, STEP):
                if not set(step) & {"say", "type", "key", "see"}:
                    self.fault(at, "a step says, types or sees something")
                if "type" in step and "key" in step:
                    self.fault(at, "a step types a line or presses a key, not both")
                self.texts(step.get("see", List()) or List()) if "see" in step else None


def sections(path):
    """The titles of a chapter's sections, {title: number}."""
    titles, code, fence = {}, False, None
    with open(path, encoding="utf-8") as file:
        for line in file:
            if re.match(r"^<<.*>>=\s*$", line):
                code = True
            elif code:
                code = not re.match(r"^@(\s|$)", line)
            elif re.match(r"^(```+|~~~+)", line):
                mark = line[:3]
                fence = None if fence == mark else fence or mark
            elif not fence and line.startswith("## "):
                title = re.sub(r"\s*\{[^}]*\}\s*$", "", line[3:].strip())
                titles[title] = len(titles) + 1
    return titles


def read(path, instructor=()):
    """The lectures, each a mapping with its number; BookError names faults.

    Those chapters that are the instructor's can't be in a lecture.
    """
    folder, file = os.path.split(path)
    if not os.path.exists(path):
        raise BookError(f"chapters/{file}:1: the book has no plan of lectures")
    faults = text_faults(path, f"chapters/{file}")
    if faults:
        raise BookError("\n".join(faults))
    chapters = {name[:-3]: sections(os.path.join(folder, name))
                for name in os.listdir(folder or ".") if CHAPTER_NAME.match(name)}
    try:
        with open(path, encoding="utf-8") as source:
            loader = Line(source)
            loader.file = file
            value = loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise BookError(f"chapters/{file}:{mark.line + 1 if mark else 1}: {error.problem}")
    check = Check(file, chapters, instructor)
    if not isinstance(value, dict) or list(value) != ["lectures"] or not isinstance(value["lectures"], list):
        raise BookError(f"chapters/{file}:1: want `lectures:` with a list of lectures")
    for line, lecture in zip(value["lectures"].lines, value["lectures"]):
        check.lecture(lecture, line)
    if check.faults:
        raise BookError("\n".join(check.faults))
    for number, lecture in enumerate(value["lectures"], 1):
        lecture["number"] = number
        lecture["all_sections"] = chapters
    return value["lectures"]


def slug(text):
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def name(lecture):
    """What its files are called: 03-four-levels-of-tables."""
    return f"{lecture['number']:02d}-{slug(lecture['title'])}"
