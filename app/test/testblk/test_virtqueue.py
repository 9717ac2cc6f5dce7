#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What plx-testblk dumps of a virtqueue in use, split and packed: entries of its own I/Os."""
import os
import re
import subprocess
import sys
import tempfile

sys.path.append(sys.path[0] + '/..')
from plx_test import check, end, run, wait_for  # noqa: E402

TESTBLK, BACKEND = sys.argv[1:3]
DEPTH = 4


def dump(kind, folder):
    sock, data = (os.path.join(folder, f'{kind}.{x}') for x in ('sock', 'data'))
    with open(data, 'wb') as f:
        f.truncate(4 << 20)
    back = subprocess.Popen([BACKEND, sock, data, kind], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)
    try:
        wait_for('the socket', lambda: os.path.exists(sock))
        rc, out, err = run(
            TESTBLK, '-l', '0', '--', '--dev', f'vhost-user:{sock},name=v', '--time', '60',
            '--iodepth', str(DEPTH), '--cmd', 'start; sleep 0.3; queue v 0 stop; dump regs v; '
            'dump virtqueue v 0; queue v 0 start; sleep 0.1; dump virtqueue v 0; stop; '
            'dump virtqueue v 0')
    finally:
        back.kill()
        back.communicate()
    check(rc == 1 and "no queue '0' now" in err, f'{kind}: {rc} {err}')
    return out


def check_dump(kind, text):
    """At rest all entries are free, then DEPTH are taken but for those that came back meanwhile."""
    heads = re.findall(r'^virtqueue 0, (\w+), (\d+) entries, (\d+) free; sound$', text, re.M)
    check(len(heads) == 2 and all(h[0] == kind for h in heads), f'{kind}: {text}')
    if len(heads) == 2:
        check(heads[0][1] == heads[0][2], f'{kind}: not all free at rest: {heads}')
        check(int(heads[1][1]) - int(heads[1][2]) in range(1, 3 * DEPTH + 1), f'{kind}: {heads}')
    check(f'entries, {kind}' in text, f'{kind}: registers: {text}')


with tempfile.TemporaryDirectory() as tmp:
    said = dump('packed', tmp)
    check_dump('packed', said)
    # the next to be taken back is in the middle of what is shown, in the order of the ring
    for part in said.split('next to add ')[1:]:
        last = int(re.match(r'\d+, next to be taken back (\d+)', part)[1])
        entries = [int(x) for x in re.findall(r'^ *(\d+)  id \d+ addr 0x\w+ len \d+ flags 0x\w+$',
                                              part, re.M)]
        check(entries[len(entries) // 2] == last, f'packed: {last} of {entries}')
        check(all((b - a) % 64 == 1 for a, b in zip(entries, entries[1:])), f'packed: {entries}')
    said = dump('split', tmp)
    check_dump('split', said)
    check('used ' in said, f'split: {said}')
end()
