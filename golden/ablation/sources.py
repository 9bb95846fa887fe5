"""The files that the experiment takes from Debian: the King James Bible and the bitmaps of GNU Unifont.

The text of the Bible is in the public domain. Unifont is GPL-2+ with the font exception; only its bitmaps are read.
Packages are downloaded by apt-get, unpacked beside this file and never installed. Both files are checked by hash.
"""

import hashlib
import re
import subprocess
import tempfile
from pathlib import Path

from outputs import BadInput

CACHE = Path(__file__).parent / ".sources"
BIBLE = CACHE / "kjv.txt"
UNIFONT = CACHE / "unifont.hex"
SHA256 = {
    BIBLE: "cd45f0c9cedab8e4439bd6486c8952c77cc8b0ecc5d1f6ae3513f2039f47229d",
    UNIFONT: "fe93c0df9a69e71df0fcf9e71af3adab3c85a393b1a3cae1eb32f69880fc1841",
}


def unpack(package, folder):
    """Downloads a Debian package and unpacks it into a folder."""
    for command in (["apt-get", "--quiet", "download", package], ["dpkg-deb", "-x", None, "."]):
        if command[0] == "dpkg-deb":
            command[2] = str(next(folder.glob(f"{package}_*.deb")))
        try:
            result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        except OSError as error:
            raise BadInput(f"the ablation needs {command[0]} to fetch the Debian package {package}: {error.strerror}")
        if result.returncode != 0:
            raise BadInput(f"cannot fetch the Debian package {package}: {result.stderr}")


def make_bible(folder):
    """The package's own program prints the compressed text, one verse a line: "Ge1:1 In the beginning ..."."""
    unpack("bible-kjv-text", folder)
    unpack("bible-kjv", folder)
    command = ["../bin/bible", "-f", "gen1:1-rev22:21"]
    return subprocess.run(command, cwd=folder / "usr/lib", capture_output=True, check=True).stdout


def make_unifont(folder):
    unpack("unifont", folder)
    return (folder / "usr/share/unifont/unifont.hex").read_bytes()


def source(path):
    """The bytes of one of the two files, fetched on first use. Raises BadInput if they are not the expected ones."""
    if not path.exists():
        CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            content = (make_bible if path == BIBLE else make_unifont)(Path(folder))
            (Path(folder) / path.name).write_bytes(content)
            (Path(folder) / path.name).replace(path)
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256[path]:
        raise BadInput(f"{path} has sha256 {found}, not {SHA256[path]}: delete it, or use Debian 12's packages")
    return content


def bible_chapters():
    """The 1,189 chapters, each a string of verses without their numbers."""
    chapters = {}
    for line in source(BIBLE).decode("ascii").splitlines():
        chapter, verse = re.fullmatch(r"(\S+ ?\d+):\d+ (.*)", line).groups()
        chapters.setdefault(chapter, []).append(verse.strip())
    return [" ".join(verses) for verses in chapters.values()]


def unifont_bitmaps():
    """Code point -> rows of bits, [16][8 or 16]."""
    bitmaps = {}
    for line in source(UNIFONT).decode("ascii").splitlines():
        code, digits = line.split(":")
        step = len(digits) // 16
        rows = [digits[i : i + step] for i in range(0, len(digits), step)]
        bitmaps[int(code, 16)] = [[int(bit) for bit in f"{int(row, 16):0{4 * step}b}"] for row in rows]
    return bitmaps
