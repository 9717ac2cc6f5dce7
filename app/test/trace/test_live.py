#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What the static probes of a running program tell, with gdb for the one who watches.

usage: test_live.py HELLOWORLD"""
import collections
import os
import re
import subprocess
import sys
import tempfile

sys.path.append(sys.path[0] + '/..')
from plx_test import need, skip  # noqa: E402

# the device's name by way of a queue: the member blk, which begins with it
NAME = '(char *)*(unsigned long *)((unsigned long)$_probe_arg0 + 32)'
PROBES = {
    'submit': f'"@submit %s %d %d %ld %d\\n", {NAME}, $_probe_arg2, $_probe_arg3, $_probe_arg4, $_probe_arg5',
    'complete': f'"@complete %s %d %d\\n", {NAME}, $_probe_arg2, $_probe_arg3',
    'doorbell': f'"@doorbell %s %d\\n", {NAME}, $_probe_arg1',
    'state': '"@state %s %d %d\\n", (char *)$_probe_arg0, $_probe_arg1, $_probe_arg2',
}
WRITE, FLUSH, READ = 1, 2, 0
CLOSED, OPEN, CONFIGURED, STARTED, STOPPED, REMOVED = 0, 1, 2, 3, 5, 6


def watch(program, dev):
    """Lines of the probes of one run, without those of the devices beneath."""
    with tempfile.NamedTemporaryFile('w', suffix='.gdb') as f:
        f.write('set pagination off\nset confirm off\nbreak main\nrun\n')
        for probe, what in PROBES.items():
            f.write(f'break -probe-stap pollux:{probe}\ncommands\nsilent\nprintf {what}\ncontinue\nend\n')
        f.write('continue\n')
        f.flush()
        p = subprocess.run(['gdb', '-q', '-nx', '-batch', '-x', f.name, '--args', program, dev],
                           capture_output=True, text=True, errors='replace', timeout=60,
                           env=os.environ | {'ASAN_OPTIONS': 'detect_leaks=0', 'DEBUGINFOD_URLS': ''})
    if re.search(r'ptrace: |Could not trace the inferior', p.stdout + p.stderr):
        skip('this user may not trace programs')
    if 'Hello, world' not in p.stdout:
        sys.exit(f'FAIL: the program did not run:\n{p.stdout}\n{p.stderr}')
    seen = collections.defaultdict(list)
    for probe, name, numbers in re.findall(r'^@(\w+) (\S+) ([-\d ]+)$', p.stdout, re.M):
        if '-medium' not in name:
            seen[probe].append(tuple(map(int, numbers.split())))
    return seen


def expect(what, got, want):
    if got != want:
        sys.exit(f'FAIL {what}: {got}, not {want}')


def main():
    need('gdb')
    # neither has a cache to flush
    for dev, doorbells in ('ram:size=1M', 0), ('soft-nvme:size=64M', 2):
        seen = watch(sys.argv[1], dev)
        expect('submit', seen['submit'], [(0, WRITE, 7, 1), (0, FLUSH, 0, 0), (0, READ, 7, 1)])
        expect('complete', seen['complete'], [(0, 0)] * 3)
        expect('doorbell', seen['doorbell'], [(0,)] * doorbells)
        expect('state', seen['state'], [(CLOSED, OPEN), (OPEN, CONFIGURED), (CONFIGURED, STARTED),
                                        (STARTED, STOPPED), (STOPPED, CLOSED), (CLOSED, REMOVED)])
        print(f'{dev}: seen by gdb')


main()
