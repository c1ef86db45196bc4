"""Keeps a corpus in one file, one entry a line, so that it can be read and compared.

corpus.py unpack NAME: corpus/NAME.txt to a file for each entry in corpus/NAME/, as libFuzzer wants them.
corpus.py pack NAME: the other way, in order. Graphic ASCII characters and the space stand for themselves, a backslash
and any other byte is \\xNN.
"""

import hashlib
import pathlib
import re
import sys

CORPUS = pathlib.Path(__file__).parent / "corpus"


def line(entry):
    return "".join(chr(byte) if 32 <= byte < 127 and byte != 92 else f"\\x{byte:02x}" for byte in entry)


def entry(line):
    return re.sub(rb"\\x(..)", lambda code: bytes.fromhex(code[1].decode()), line.encode())


if len(sys.argv) != 3 or sys.argv[1] not in ("unpack", "pack"):
    sys.exit(__doc__)
folder, file = CORPUS / sys.argv[2], CORPUS / f"{sys.argv[2]}.txt"
if sys.argv[1] == "unpack":
    folder.mkdir(exist_ok=True)
    for text in file.read_text().split("\n")[:-1]:
        found = entry(text)
        (folder / hashlib.sha256(found).hexdigest()[:16]).write_bytes(found)
else:
    lines = sorted({line(path.read_bytes()) for path in folder.iterdir()}, key=lambda text: (len(text), text))
    file.write_text("".join(f"{text}\n" for text in lines if text))
    print(f"{file}: {len(lines)} entries, {file.stat().st_size} bytes")
