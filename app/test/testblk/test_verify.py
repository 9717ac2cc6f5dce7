#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What plx-testblk verifies, and that it finds what is wrong: metadata, protection information."""
import json
import subprocess
import sys

PROGRAM = sys.argv[1]
NVME = 'soft-nvme' in sys.argv[2:]
failures = 0


def check(cond, what):
    global failures
    if not cond:
        failures += 1
        print('FAIL', what, flush=True)


def run(*args):
    """Run to the end. Returns exit code, report (None without) and stderr."""
    p = subprocess.run([PROGRAM, '-l', '0', '--', *args, '--json', '-'], capture_output=True,
                       text=True, timeout=60)
    r = json.loads(p.stdout) if p.stdout else None
    if r is not None:
        t = r['total']
        check(t['submitted'] == t['completed'] + t['failed'] + t['cancelled'], f'{args}: account')
    return p.returncode, r, p.stderr


def verified(*args):
    rc, r, err = run(*args)
    check(rc == 0, f'{args}: exit code {rc}: {err}')
    v = r['verify'] if r else {}
    check(v and v['checked_blocks'] > 0 and v['wrong_blocks'] == 0 and v['complete'],
          f'{args}: {v} {err}')


FORMATS = ['meta=8', 'pi=1', 'meta=64,pi=2', 'meta=32,pi=3,guard=64,pi_first=1',
           'block=4096,meta=64,pi=1,guard=64']


def devices(pi):
    """All formats with protection information, or without, by all drivers."""
    return [a for f in FORMATS if ('pi=' in f) == pi for d in ('ram', 'soft-nvme')[:1 + NVME]
            for a in ('--dev', f'{d}:size=4M,{f}')]


def test_meta():
    for pi, how in ((False, ['--meta']), (True, ['--pi', 'act']), (True, ['--pi', 'host'])):
        args = [*devices(pi), *how, '--verify', 'crc32c', '--qd', '8']
        verified(*args, '--rw', 'randwrite', '--size', '2M')
        verified(*args, '--rw', 'randrw', '--time', '0.1', '--bs', '16k', '--queues', '2')


def test_pi_alone():
    """Guards are checked without tags in the data as well; here in memory nobody wrote, too."""
    rc, r, err = run('--dev', 'ram:size=1M,pi=1', '--pi', 'host', '--rw', 'randrw', '--time', '0.1')
    check(rc == 0 and r['verify']['checked_blocks'] > 0, f'{rc} {err}')


def test_usage():
    for words, dev, args in (('no metadata', 'ram:size=1M', ['--meta']),
                             ('no metadata', 'ram:size=1M', ['--pi', 'act']),
                             ('no protection information', 'ram:size=1M,meta=8', ['--pi', 'host']),
                             ('act or host', 'ram:size=1M,pi=1', ['--pi', '1'])):
        rc, _, err = run('--dev', dev, *args)
        check(rc == 2 and words in err, f'{dev} {args}: {rc} {err}')


for name, fn in list(globals().items()):
    if name.startswith('test_'):
        before = failures
        fn()
        print('ok  ' if failures == before else 'FAIL', name, flush=True)
sys.exit(failures != 0)
