#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Power cuts: the tester is killed amid verified writes with flushes, again and again, and then what
was flushed must be there: PLX-TESTBLK PLX-EXPORT ROUNDS WHAT...

file        the device dies with the tester, with what was in its write cache
nvme        it is a controller in another process, which lives on
nvme-cut    which is killed, too, and has a write cache
qsd-raw     qemu-storage-daemon, which lives on
qsd-qcow2   which is killed, too; it keeps tables of the image in memory until a flush
planted     flushes that do nothing, writes that are lost: must be found
"""
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import time

sys.path.append(sys.path[0] + '/..')
import qsd  # noqa: E402
from plx_test import Exporter, check, end, need  # noqa: E402

TESTBLK, EXPORT, ROUNDS = sys.argv[1], sys.argv[2], int(sys.argv[3])
SIZE = '16M'


class Inside:
    """A device in the tester itself."""

    def __init__(self, name):
        self.name = name

    def start(self):
        pass

    def kill(self):
        pass


def set_up(what, tmp):
    """Returns what serves the device, and whether it is killed as well."""
    image, ram = f'{tmp}/image', f'ram:size={SIZE}'
    if what in ('file', 'planted-flush'):
        more = ',lose_flush=1' if what == 'planted-flush' else ''
        return Inside(f'{ram},file={image},cache=1{more}'), False
    if what == 'planted-write':
        return Exporter(EXPORT, tmp, f'{ram},lose_every=20'), False
    if what == 'nvme':
        return Exporter(EXPORT, tmp, ram), False
    if what == 'nvme-cut':
        return Exporter(EXPORT, tmp, f'{ram},file={image},cache=1'), True
    fmt = what.removeprefix('qsd-')
    return qsd.Daemon(tmp, qsd.image(image, fmt, SIZE)), fmt != 'raw'


class State:
    """The file of --verify-state, as it stands after a kill."""

    def __init__(self, path):
        self.path = path

    def read(self):
        try:
            with open(self.path, 'rb') as f:
                return f.read()[4096:]
        except FileNotFoundError:
            return b''

    def flushed(self):
        words = self.read()
        return sum(low for low, _ in struct.iter_unpack('=II', words))


def tester(dev, state, *args):
    return [TESTBLK, '-l', '0', '--', '--dev', dev, '--allow-write', '--verify', 'crc32c',
            '--verify-state', state.path, *args]


def cut(dev, state, rng):
    """Write until flushes have made something stable, and a bit longer."""
    before = state.flushed()
    args = ['--rw', rng.choice(['randwrite', 'write', 'randrw']), '--time', '60', '--qd',
            rng.choice(['1', '8', '64']), '--seed', str(rng.randrange(1 << 32))]
    # through to the medium, or flushes after few and many
    args += rng.choice([['--fsync', '1'], ['--fsync', '16'], ['--fsync', '100'],
                        ['--fua'], ['--fsync', '16', '--verify-state-sync']])
    p = subprocess.Popen(tester(dev, state, *args), stdout=subprocess.DEVNULL,
                         stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 30
    while p.poll() is None and state.flushed() == before and time.monotonic() < until:
        time.sleep(0.005)
    if p.poll() is None:
        time.sleep(rng.random() * 0.1)
    p.kill()
    _, err = p.communicate()
    check(p.returncode == -9, f'{args}: ended by itself: {err}')
    check(state.flushed() > before, f'{args}: nothing was flushed')


def verify(dev, state):
    p = subprocess.run(tester(dev, state, '--verify_only', '--json', '-'), capture_output=True,
                       text=True, timeout=60)
    if not p.stdout:
        check(False, f'verify: no report: {p.stderr}')
        return {}
    v = json.loads(p.stdout)['verify']
    check((p.returncode == 0) == (v['wrong_blocks'] == 0 and v['complete']),
          f'verify: exit code {p.returncode}')
    return v


def rounds(what, most=ROUNDS):
    """Returns what was wrong in the first round where something was."""
    seen_open = seen_stable = 0
    rng = random.Random(time.time_ns())
    with tempfile.TemporaryDirectory(dir='/dev/shm' if os.path.isdir('/dev/shm') else None) as tmp:
        state = State(f'{tmp}/state')
        server, both = set_up(what, tmp)
        try:
            for _ in range(most):
                cut(server.name, state, rng)
                if both:
                    server.kill()
                    server.start()
                v = verify(server.name, state)
                if v.get('wrong_blocks') != 0:
                    return v
                check(v['checked_blocks'] > 0, f'{what}: nothing checked')
                seen_open += v['state']['open_units']
                seen_stable += v['state']['stable_units']
        finally:
            server.kill()
    check(seen_stable > 0, f'{what}: nothing was stable')
    check(ROUNDS < 5 or seen_open > 0, f'{what}: never was a write cut off')
    print(f'{what}: {ROUNDS} rounds: {seen_stable} I/Os stable, {seen_open} cut off', flush=True)
    return None


for name in sys.argv[4:]:
    if name == 'planted':
        for plant in ('planted-flush', 'planted-write'):
            found = rounds(plant, 10)
            check(found is not None, f'{plant}: not found')
            print(f'{plant}:', found and found.get('first_mismatch', {}).get('verdict'), flush=True)
        continue
    if name.startswith('qsd'):
        need('qemu-storage-daemon', 'qemu-img')
    bad = rounds(name)
    check(bad is None, f'{name}: {json.dumps(bad, indent=1)}')
end()
