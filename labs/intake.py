"""What is handed in, taken safely: a folder, a .tar.gz, a .tar or a .zip.

    taken = intake.take(path, files, target, also)

copies the lab's files (and of the others those in `also`) to the new folder
TARGET, as plain files and nothing else. Nothing is ever written elsewhere, no
link is followed, and what an archive says of its sizes isn't believed. Names in
an archive that lead out of it, links, devices and archives that unpack to too
much are refused as a whole (Refused): the line says why.

The lab's files may stand anywhere in it, as long as their paths end as they
should: lab2/vmm/ept.c is vmm/ept.c. Where no path fits, bare names do: a web
form often drops the folders.
"""
import collections
import gzip
import hashlib
import os
import pathlib
import re
import stat
import tarfile
import unicodedata
import zipfile

ARCHIVE_MAX = 64 << 20          # bytes of an archive
UNPACKED_MAX = 512 << 20        # bytes that it unpacks to
MEMBERS_MAX = 20000
FILE_MAX = 1 << 20              # bytes of one file that is taken
SUFFIX = re.compile(r"\.(tar\.gz|tgz|tar|zip)$", re.IGNORECASE)
KINDS = "a folder, .tar.gz, .tar or .zip"

Taken = collections.namedtuple("Taken", "remarks digest")


class Refused(Exception):
    """Why nothing of a submission is taken: one line."""


def shown(name):
    """A name for a line of a report."""
    text = "".join(c if c.isprintable() else "?" for c in str(name))
    return text if len(text) <= 80 else text[:77] + "…"


def size_shown(size):
    return f"{size >> 20} MiB" if size >= 1 << 20 else f"{size >> 10} KiB"


# --- three kinds of submission: each lists its plain files, and reads some

class Folder:
    def __init__(self, path):
        self.path = path
        self.links = set()

    def names(self):
        found, seen = [], 0
        for parent, folders, names in os.walk(self.path):
            folders[:] = sorted(name for name in folders if name not in (".git", "obj", "__MACOSX"))
            for name in sorted(names) + [f for f in folders if os.path.islink(os.path.join(parent, f))]:
                path = os.path.join(parent, name)
                kind = os.lstat(path).st_mode
                inside = os.path.relpath(path, self.path)
                if stat.S_ISREG(kind):
                    found.append(inside)
                elif stat.S_ISLNK(kind):
                    self.links.add(inside)
                seen += 1
                if seen > MEMBERS_MAX:
                    raise Refused(f"more than {MEMBERS_MAX} files")
        return found

    def read(self, names):
        for name in names:
            # It was a plain file when it was listed; a link or a FIFO put there since does no harm.
            descriptor = os.open(os.path.join(self.path, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with open(descriptor, "rb") as file:
                yield name, file.read(FILE_MAX + 1)


def safe_name(name):
    """The name of a member of an archive, with / between its parts."""
    plain = name.replace("\\", "/")
    parts = [part for part in plain.split("/") if part not in ("", ".")]
    if plain.startswith("/") or re.match(r"[A-Za-z]:", plain):
        raise Refused(f"the archive has an absolute path: {shown(name)}")
    if ".." in parts:
        raise Refused(f"the archive has a path that leads out of it: {shown(name)}")
    if "\0" in name:
        raise Refused("the archive has a name with a zero byte")
    return "/".join(parts)


class Meter:
    """A stream that ends a bomb: no more than UNPACKED_MAX bytes are read."""

    def __init__(self, stream):
        self.stream, self.left = stream, UNPACKED_MAX

    def read(self, size):
        data = self.stream.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise Refused(f"the archive unpacks to more than {size_shown(UNPACKED_MAX)}")
        return data


class Tar:
    links = frozenset()

    def __init__(self, path, packed):
        self.path, self.packed = path, packed

    def members(self):
        with open(self.path, "rb") as file:
            stream = gzip.GzipFile(fileobj=file) if self.packed else file
            with tarfile.open(fileobj=Meter(stream), mode="r|") as archive:
                for count, member in enumerate(archive, 1):
                    if count > MEMBERS_MAX:
                        raise Refused(f"the archive has more than {MEMBERS_MAX} files")
                    name = safe_name(member.name)
                    if member.issym() or member.islnk():
                        raise Refused(f"the archive has a link: {shown(member.name)}")
                    if not member.isfile() and not member.isdir():
                        raise Refused(f"the archive has a device: {shown(member.name)}")
                    if member.isfile() and name:
                        yield name, member, archive

    def names(self):
        return [name for name, _, _ in self.members()]

    def read(self, names):
        names = set(names)
        for name, member, archive in self.members():
            if name in names:
                yield name, archive.extractfile(member).read(FILE_MAX + 1)


class Zip:
    links = frozenset()

    def __init__(self, path):
        self.path = path

    def members(self):
        total = 0
        with zipfile.ZipFile(self.path) as archive:
            if len(archive.infolist()) > MEMBERS_MAX:
                raise Refused(f"the archive has more than {MEMBERS_MAX} files")
            for member in archive.infolist():
                name = safe_name(member.filename)
                kind = stat.S_IFMT(member.external_attr >> 16)
                if kind == stat.S_IFLNK:
                    raise Refused(f"the archive has a link: {shown(member.filename)}")
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise Refused(f"the archive has a device: {shown(member.filename)}")
                if member.flag_bits & 1:
                    raise Refused("the archive is encrypted")
                total += member.file_size
                if total > UNPACKED_MAX:
                    raise Refused(f"the archive unpacks to more than {size_shown(UNPACKED_MAX)}")
                if name and not member.filename.endswith(("/", "\\")):
                    yield name, member, archive

    def names(self):
        return [name for name, _, _ in self.members()]

    def read(self, names):
        names = set(names)
        for name, member, archive in self.members():
            if name in names:
                with archive.open(member) as file:
                    yield name, file.read(FILE_MAX + 1)


def opened(path):
    """The submission at PATH, by what it is and not by what it's called."""
    if path.is_symlink():
        raise Refused("a symbolic link, which isn't followed")
    if path.is_dir():
        return Folder(path)
    if not path.is_file():
        raise Refused(f"neither {KINDS}" if path.exists() else "no such file or folder")
    if path.stat().st_size > ARCHIVE_MAX:
        raise Refused(f"longer than {size_shown(ARCHIVE_MAX)}")
    with open(path, "rb") as file:
        start = file.read(512)
    if start[:2] == b"\x1f\x8b":
        return Tar(path, packed=True)
    if start[:2] == b"PK":
        return Zip(path)
    if start[257:262] == b"ustar":
        return Tar(path, packed=False)
    raise Refused(f"neither {KINDS}" if start else "an empty file")


# --- the lab's files in it

def junk(name):
    """What operating systems leave behind, and what isn't a student's work."""
    parts = name.split("/")
    return parts[0] == "__MACOSX" or parts[-1].startswith("._") or parts[-1] == ".DS_Store" \
        or ".git" in parts or "obj" in parts


def find(names, files):
    """Where the lab's files are: {file: name there}, the folder they're in (or
    None), remarks."""
    at = collections.Counter()
    for file in files:
        at.update({name[:-len(file)] for name in names if name == file or name.endswith("/" + file)})
    if at:
        most = max(at.values())
        folders = sorted((top for top in at if at[top] == most), key=lambda top: (top.count("/"), top))
        top = folders[0]
        if len(folders) > 1:
            if folders[1].count("/") == top.count("/"):
                raise Refused(f"the lab's files are there more than once, in {shown(top) or '.'} and in "
                              f"{shown(folders[1])}: it should be handed in with one copy")
            remark = [f"the lab's files are there more than once; taken from {shown(top) or 'its top'}, "
                      f"not from {shown(folders[1])}"]
        else:
            remark = []
        present = set(names)
        return {file: top + file for file in files if top + file in present}, top, remark
    places = {}
    for file in files:
        bare = file.rsplit("/", 1)[-1]
        same = [name for name in names if name.rsplit("/", 1)[-1] == bare]
        if len(same) > 1:
            raise Refused(f"more than one {bare}, and none of them is {file}")
        if same and sum(other.rsplit("/", 1)[-1] == bare for other in files) == 1:
            places[file] = same[0]
    return places, None, ["no folders in it: files taken by their bare names"] if places else []


def take(path, files, target, also=()):
    """Copy a submission's files to the new folder TARGET; what is there.

    Taken.remarks: what was strange, in lines; Taken.digest: of what was taken."""
    path, target = pathlib.Path(path), pathlib.Path(target)
    try:
        source = opened(path)
        names = [name for name in source.names() if not junk(name)]
        places, top, remarks = find(names, files)
        archives = [name for name in names if SUFFIX.search(name)]
        if not places and isinstance(source, Folder) and archives:
            if len(archives) > 1:
                raise Refused("several archives in one folder: " + ", ".join(map(shown, archives[:3])))
            source = opened(path / archives[0])
            names = [name for name in source.names() if not junk(name)]
            places, top, remarks = find(names, files)
        if not places:
            raise Refused(f"none of the lab's files is in it ({', '.join(files)})")
        for link in sorted(source.links):
            if any(link == file or link.endswith("/" + file) for file in files):
                remarks.append(f"{shown(link)}: a symbolic link, not taken")
        wanted = {name: file for file, name in places.items()}
        if top is not None:
            present = set(names)
            wanted.update({top + name: name for name in also if top + name in present})
        data = {}
        for name, content in source.read(wanted):
            if len(content) <= FILE_MAX:
                data[wanted[name]] = content
            elif wanted[name] in files:
                remarks.append(f"{wanted[name]}: longer than {size_shown(FILE_MAX)}, not taken")
    except Refused:
        raise
    except (Exception, RecursionError, MemoryError) as error:  # noqa: B014  a broken archive raises anything
        raise Refused(f"can't be read: {shown(error) or type(error).__name__}") from error
    digest = hashlib.sha256()
    target.mkdir(parents=True)
    for name in sorted(data):
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data[name])
        digest.update(f"{name}\0{len(data[name])}\0".encode("utf-8", "surrogateescape") + data[name])
    digest.update("\n".join(remarks).encode("utf-8", "replace"))
    return Taken(remarks, digest.hexdigest())


def student(path):
    """Whose submission it is: the name of the folder or archive.

    Where a folder and an archive have one name, the archives keep their ends."""
    path = pathlib.Path(os.path.abspath(path))
    short = path.name if path.is_dir() else SUFFIX.sub("", path.name)
    if short != path.name and short:
        for other in os.listdir(path.parent):
            if other != path.name and (other == short or SUFFIX.sub("", other) == short):
                short = path.name
                break
    return unicodedata.normalize("NFC", os.fsencode(short or path.name).decode("utf-8", "replace"))


def submissions(folder):
    """All that stands in a class's folder, but for what nobody handed in."""
    return [pathlib.Path(folder) / name for name in sorted(os.listdir(folder))
            if not name.startswith(".") and name != "__MACOSX"]
