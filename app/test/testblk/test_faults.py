#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Devices that fail, stall, are reset, taken away or killed under verified load: the run ends, each I/O
came back once, and the exit code tells: PLX-TESTBLK PLX-EXPORT fast|kill|qsd"""
import json
import os
import subprocess
import sys
import tempfile
import time

sys.path.append(sys.path[0] + '/..')
import qsd  # noqa: E402
from plx_test import Exporter, check, main, need, parts  # noqa: E402

TESTBLK, EXPORT = sys.argv[1:3]
PART = sys.argv[3]


def judge(p, report, what):
    """The account of a process that has ended. Returns the report's total and its devices' counters,
    or None."""
    out, err = p.communicate(timeout=80)
    try:
        r = json.loads(report(out))
    except (ValueError, OSError) as e:
        check(False, f'{what}: exit code {p.returncode}, no report ({e}): {out} {err}')
        return None
    for s in parts(r):
        check(s['submitted'] == s['completed'] + s['failed'] + s['cancelled'], f'{what}: {s}')
        check(sum(s['errors'].values()) == s['failed'], f'{what}: {s["errors"]}')
    t = r['total']
    check(r['verify']['wrong_blocks'] == 0, f'{what}: {r["verify"]}')
    check(t['completed'] > 0, f'{what}: nothing was done: {err}')
    bad = t['failed'] + t['cancelled'] != 0 or not (r['verify']['complete'] or r['interrupted'])
    check((p.returncode == 1) == bad, f'{what}: exit code {p.returncode}: {t} {err}')
    check(p.returncode in (0, 1), f'{what}: exit code {p.returncode}: {err}')
    for d in r['devices']:
        for name, n in d['driver_counters'].items():
            t.setdefault(name, n)
    return t


LOAD = ['--rw', 'randrw', '--verify', 'crc32c', '--fsync', '50', '--allow-write', '--size', '8M']


def start(*args):
    return subprocess.Popen([TESTBLK, '-l', '0', '--', *args], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def batch(dev, seconds, *args):
    return start('--dev', dev, *LOAD, '--time', str(seconds), '--json', '-', *args)


def shell(dev, commands):
    """A shell that is told so. Returns what judge() wants."""
    fd, path = tempfile.mkstemp()
    os.close(fd)
    p = start('--dev', dev, *LOAD, '--time', '30', '--json', path, '--cmd', commands)

    def report(_):
        with open(path) as f:
            text = f.read()
        os.unlink(path)
        return text
    return p, report


def plain(out):
    return out


def test_errors(d):
    """By the name of their errno, wherever they come from."""
    for err in ('EIO', 'ENOSPC'):
        t = judge(batch(f'ram:size=8M,error_every=40,error={err}', 0.3), plain, err)
        check(t and set(t['errors']) == {err}, f'{err}: {t and t["errors"]}')
    with Exporter(EXPORT, d, 'ram:size=8M,error_every=40') as e:
        t = judge(batch(e.name, 0.3), plain, 'exported')
    # a read that fails is one of a medium that can't give it back
    check(t and set(t['errors']) <= {'EIO', 'ENODATA'} and t['failed'] > 0, f'exported: {t}')


def test_stall(d):
    """What takes longer than it may is noticed, and the rest goes on."""
    with Exporter(EXPORT, d, 'ram:size=8M,slow_every=60,slow=3000000') as e:
        t = judge(batch(f'{e.name},io_timeout=300', 2, '--qd', '4'), plain, 'stall')
        e.kill()
    check(t and t['late'] > 0, f'stall: {t}')


def test_reset():
    for dev in ('ram:size=8M,delay=50,name=x', 'soft-nvme:size=8M,name=x'):
        name = 'x/n1' if 'nvme' in dev else 'x'
        p, report = shell(dev, 'start;' + f'sleep 0.1;reset {name};' * 5 + 'sleep 0.1;stop;quit')
        judge(p, report, f'reset {dev}')


def test_detach():
    for dev in ('ram:size=8M,delay=50,name=x', 'soft-nvme:size=8M,name=x'):
        p, report = shell(dev, 'start;sleep 0.3;detach x;wait;quit')
        t = judge(p, report, f'detach {dev}')
        check(t and t['failed'] + t['cancelled'] > 0, f'detach {dev}: {t}')


def kill_amid(server, p, state):
    """Once flushes among the writes have made something stable."""
    until = time.monotonic() + 30
    while p.poll() is None and time.monotonic() < until:
        if os.path.exists(state) and any(open(state, 'rb').read()[4096:]):
            break
        time.sleep(0.02)
    time.sleep(0.2)
    check(p.poll() is None, 'ended early')
    server.kill()


def kill_controller(d):
    e = Exporter(EXPORT, d, 'ram:size=8M')
    p = batch(e.name, 10, '--verify-state', f'{d}/state')
    kill_amid(e, p, f'{d}/state')
    t = judge(p, plain, 'controller killed')
    check(t and t['failed'] + t['cancelled'] > 0, f'controller killed: {t}')


def kill_qsd(d):
    need('qemu-storage-daemon', 'qemu-img')
    daemon = qsd.Daemon(d, qsd.image(f'{d}/i', 'raw', '8M'))
    p = batch(f'{daemon.name},io_timeout=1000', 10, '--verify-state', f'{d}/state')
    kill_amid(daemon, p, f'{d}/state')
    t = judge(p, plain, 'back end killed')
    check(t and t['failed'] + t['cancelled'] > 0, f'back end killed: {t}')


main(globals(), {'fast': 'test_', 'kill': 'kill_controller', 'qsd': 'kill_qsd'}[PART])
