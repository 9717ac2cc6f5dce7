#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What plx-testblk counts, counted by somebody else: the driver, and a controller in another
process, asked for its SMART log."""
import json
import subprocess
import sys
import tempfile

TESTBLK, EXPORT, NVME = (sys.argv[1:] + ['', ''])[:3]
failures = 0


def check(cond, what):
    global failures
    if not cond:
        failures += 1
        print('FAIL', what, flush=True)


def testblk(*args):
    p = subprocess.run([TESTBLK, '-l', '0', '--', *args, '--json', '-'], capture_output=True,
                       text=True, timeout=60)
    check(p.returncode == 0, f'{args}: {p.returncode} {p.stderr}')
    return json.loads(p.stdout)


def test_driver():
    """Requests, polls and blocks as the queue counted them, which the tester doesn't look at."""
    for dev in 'null:size=1G', 'ram:size=64M', 'soft-nvme:size=64M':
        r = testblk('--dev', dev, '--rw', 'randrw', '--time', '0.3', '--queues', '2', '--bs', '8k')
        total, drv = r['total'], r['devices'][0]['driver_counters']
        check(total['completed'] > 1000, f'{dev}: {total["completed"]} I/Os')
        for ours, theirs in ((total['completed'], drv['completed']), (0, drv['errors']),
                             (total['read']['ios'], drv['reads']),
                             (total['write']['ios'], drv['writes']),
                             (total['read']['ios'] * 16, drv['read_blocks']),
                             (total['polls'], drv['polls']),
                             (total['empty_polls'], drv['empty_polls'])):
            check(ours == theirs, f'{dev}: {ours} here, {theirs} by the driver: {drv}')


def smart(dev):
    """Commands that a controller was sent, and thousands of 512-byte units."""
    p = subprocess.run([NVME, 'smart-log', dev, '-o', 'json'], capture_output=True, text=True,
                       timeout=60)
    check(p.returncode == 0, f'smart-log: {p.stderr}')
    log = json.loads(p.stdout)
    return [int(log[k]) for k in ('host_read_commands', 'host_write_commands', 'data_units_read',
                                  'data_units_written')]


def test_controller():
    if not EXPORT:
        return
    with tempfile.TemporaryDirectory() as d:
        p = subprocess.Popen([EXPORT, '--', '--dev', 'ram:size=64M,name=r', '--export',
                              f'vfio-user:{d}/s,dev=r'], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True)
        try:
            while 'serving' not in (line := p.stdout.readline()):
                if line == '':
                    raise RuntimeError('plx-export ended')
            dev = f'vfio-user:{d}/s'
            # a run that writes looks first at what is there, so its reads are not the workload's alone
            for i, (rw, kind) in enumerate((('randread', 'read'), ('randwrite', 'write'))):
                before = smart(dev)
                r = testblk('--dev', dev, '--rw', rw, '--size', '8M', '--allow-write', '--bs', '16k',
                            '--qd', '8')
                ours = r['total'][kind]['ios']
                counts = [b - a for a, b in zip(before, smart(dev))]
                ios, units = counts[i], counts[i + 2]
                check(ours == ios > 300, f'{kind}: {ours} I/Os, the controller counted {ios}')
                check(abs(ios * 16384 / 512000 - units) <= 1, f'{kind}: {ios} of 16 KiB, {units}')
        finally:
            p.terminate()
            p.communicate(timeout=20)


for name, fn in list(globals().items()):
    if name.startswith('test_'):
        before = failures
        fn()
        print('ok  ' if failures == before else 'FAIL', name, flush=True)
sys.exit(failures != 0)
