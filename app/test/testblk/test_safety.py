#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""plx-testblk does not overwrite what somebody may need: PLX-TESTBLK blkid|-"""
import fcntl
import os
import pty
import struct
import subprocess
import sys
import tempfile

sys.path.append(sys.path[0] + '/..')
import plx_test  # noqa: E402
from plx_test import check, main  # noqa: E402

PROGRAM, BLKID = sys.argv[1], 'blkid' in sys.argv[2:]
SIZE = 16 << 20


def command(path, *args):
    return [PROGRAM, '-l', '0', '--', '--dev', f'ram:size={SIZE},file={path}', '--rw', 'write',
            '--size', '1M', *args]


def run(path, *args):
    """Returns exit code, stdout and stderr; nobody is there to answer."""
    return plx_test.run(*command(path, *args), stdin=subprocess.DEVNULL)


def swap():
    """The first page of a swap area with a label."""
    head = struct.pack('<III', 1, SIZE // 4096 - 1, 0) + bytes(range(16)) + b'old swap'
    return (bytes(1024) + head).ljust(4086, b'\0') + b'SWAPSPACE2'


def mbr():
    """A DOS partition table with two entries."""
    entries = b''.join(struct.pack('<B3sB3sII', 0, b'\0\0\0', 0x83, b'\0\0\0', first, n)
                       for first, n in ((2048, 8192), (10240, 20480)))
    return (bytes(440) + b'abcd\0\0' + entries).ljust(510, b'\0') + b'\x55\xaa'


def ext():
    """A superblock of ext2."""
    sb = struct.pack('<IIIIIIIIIIIIIHHHHHHIIII', 4096, 16384, 0, 1, 1, 1, 0, 0, 8192, 8192, 2048,
                     0, 0, 0, 0, 0xef53, 1, 1, 0, 0, 0, 0, 1)
    return bytes(1024) + sb.ljust(1024, b'\0')


def disk(folder, content, at=0):
    path = os.path.join(folder, 'disk')
    with open(path, 'wb') as f:
        f.truncate(SIZE)
        f.seek(at)
        f.write(content)
    return path


def untouched(path, content, at=0):
    with open(path, 'rb') as f:
        f.seek(at)
        return f.read(len(content)) == content


def test_leave():
    with tempfile.TemporaryDirectory() as d:
        path = disk(d, b'some data')
        rc, _, err = run(path)
        check(rc == 2 and '--allow-write' in err, f'without leave: {rc} {err}')
        check(untouched(path, b'some data'), 'without leave')
        rc, _, err = run(path, '--allow-write')
        check(rc == 0 and 'holds' not in err, f'nothing known on it: {rc} {err}')
        check(not untouched(path, b'some data'), 'with leave')


# What is on a disk, and words that tell of it.
KNOWN = [(swap(), ['swap', 'old swap']), (mbr(), ['dos partition table', '2 partitions', '4.0 MiB',
                                                  '10.0 MiB']), (ext(), ['ext2', 'filesystem'])]


def test_found():
    if not BLKID:
        return
    for content, words in KNOWN:
        with tempfile.TemporaryDirectory() as d:
            path = disk(d, content)
            rc, _, err = run(path, '--allow-write')
            check(rc == 2 and all(w in err for w in [*words, '--yes', 'ram0']), f'{words}: {rc} {err}')
            check(untouched(path, content), f'{words}: was written')
            rc, _, err = run(path, '--rw', 'read')
            check(rc == 0 and 'holds' not in err, f'{words}: reading: {err}')
            rc, _, err = run(path, '--allow-write', '--yes')
            check(rc == 0 and words[0] in err, f'{words}: --yes: {rc} {err}')
            check(not untouched(path, content), f'{words}: --yes')


def test_behind():
    """A copy of a partition table at the end is found as well."""
    if not BLKID:
        return
    with tempfile.TemporaryDirectory() as d:
        # the superblock of a RAID array, version 0.90: the last 64 KiB
        raid = struct.pack('<IIII', 0xa92b4efc, 0, 90, 0) + bytes(4080)
        path = disk(d, raid, SIZE - (64 << 10))
        rc, _, err = run(path, '--allow-write')
        check(rc == 2 and 'raid' in err, f'raid: {rc} {err}')


def ask(path, answer, *args):
    """With somebody at a terminal."""
    master, tty = pty.openpty()
    p = subprocess.Popen(command(path, '--allow-write', *args), stdin=tty, stderr=tty,
                         stdout=subprocess.PIPE, text=True)
    os.close(tty)
    said = ''
    while '(yes/no)' not in said and p.poll() is None:
        said += os.read(master, 4096).decode()
    os.write(master, answer.encode())
    p.communicate(timeout=30)
    os.close(master)
    return p.returncode, said


def test_asks():
    if not BLKID:
        return
    for answer, rc in (('no\n', 2), ('y\n', 2), ('\n', 2), ('yes\n', 0)):
        with tempfile.TemporaryDirectory() as d:
            path = disk(d, swap())
            got, said = ask(path, answer)
            check(got == rc and 'swap' in said, f'{answer!r}: {got} {said}')
            check(untouched(path, swap()) == (rc != 0), f'{answer!r}')


def test_locked():
    """A file that somebody has locked, and no regular file, are refused."""
    with tempfile.TemporaryDirectory() as d:
        path = disk(d, b'')
        with open(path, 'rb') as f:
            fcntl.flock(f, fcntl.LOCK_SH)
            rc, _, err = run(path, '--allow-write')
        check(rc != 0 and 'in use' in err, f'locked: {rc} {err}')
        rc, _, err = run('/dev/null', '--allow-write')
        check(rc != 0 and 'not a regular file' in err, f'/dev/null: {rc} {err}')
        os.truncate(path, SIZE // 2)
        rc, _, err = run(path, '--allow-write')
        check(rc != 0 and str(SIZE // 2) in err, f'other size: {rc} {err}')


main(globals())
