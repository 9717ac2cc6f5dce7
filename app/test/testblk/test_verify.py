#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What plx-testblk verifies, and that it finds what is wrong: metadata, protection information."""
import functools
import os
import sys
import tempfile

sys.path.append(sys.path[0] + '/..')
from plx_test import check, main, run_json  # noqa: E402

PROGRAM = sys.argv[1]
NVME = 'soft-nvme' in sys.argv[2:]


run = functools.partial(run_json, PROGRAM, '-l', '0', '--')


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


def test_state():
    """What goes with a file of state, and what doesn't."""
    with tempfile.TemporaryDirectory() as d:
        disk = ['--dev', f'ram:size=1M,file={d}/disk,cache=1', '--allow-write']
        state = ['--verify', 'crc32c', '--verify-state', f'{d}/state']
        for words, args in (('is for --verify', ['--verify-state', 'x']),
                            ('is for --verify-state', ['--verify-state-sync']),
                            ('a time is no part', ['--verify_only', '--time', '1']),
                            ('--fsync N or --fua', [*state, '--rw', 'write']),
                            ('No such file', [*state, '--verify_only']),
                            ('one device', ['--dev', 'ram:size=1M', *state, '--fua', '--rw', 'write'])):
            rc, _, err = run(*disk, *args)
            check(rc == 2 and words in err, f'{args}: {rc} {err}')
        os.unlink(f'{d}/state')
        rc, r, err = run(*disk, *state, '--rw', 'write', '--size', '512K', '--bs', '8k',
                         '--fsync', '10', '--qd', '8')
        check(rc == 0 and r['verify']['state']['unwritten_units'] == 64, f'first: {rc} {err}')
        rc, _, err = run(*disk, *state, '--rw', 'write', '--fua')
        check(rc == 2 and '--bs 8192 --offset 0 --size 524288' in err, f'other range: {rc} {err}')
        rc, r, err = run(*disk, *state, '--verify_only')
        check(rc == 0 and r['verify']['state']['stable_units'] == 64
              and r['verify']['checked_blocks'] == 1024, f'only: {rc} {err} {r and r["verify"]}')
        rc, _, err = run('--dev', 'ram:size=1M', *state, '--verify_only')
        check(rc == 2 and 'another device' in err, f'other device: {rc} {err}')


main(globals())
