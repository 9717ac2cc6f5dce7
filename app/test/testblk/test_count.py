#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What plx-testblk counts, counted by somebody else: the driver, and a controller in another
process, asked for its SMART log."""
import json
import sys

sys.path.append(sys.path[0] + '/..')
from plx_test import Exporter, check, main, run, run_json  # noqa: E402

TESTBLK, EXPORT, NVME = (sys.argv[1:] + ['', ''])[:3]


def testblk(*args):
    rc, r, err = run_json(TESTBLK, '-l', '0', '--', *args)
    check(rc == 0, f'{args}: {rc} {err}')
    return r


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
    rc, out, err = run(NVME, 'smart-log', dev, '-o', 'json')
    check(rc == 0, f'smart-log: {err}')
    log = json.loads(out)
    return [int(log[k]) for k in ('host_read_commands', 'host_write_commands', 'data_units_read',
                                  'data_units_written')]


def test_controller(d):
    if not EXPORT:
        return
    with Exporter(EXPORT, d, 'ram:size=64M') as e:
        # a run that writes looks first at what is there, so its reads are not the workload's alone
        for i, (rw, kind) in enumerate((('randread', 'read'), ('randwrite', 'write'))):
            before = smart(e.name)
            r = testblk('--dev', e.name, '--rw', rw, '--size', '8M', '--allow-write', '--bs', '16k',
                        '--qd', '8')
            ours = r['total'][kind]['ios']
            counts = [b - a for a, b in zip(before, smart(e.name))]
            ios, units = counts[i], counts[i + 2]
            check(ours == ios > 300, f'{kind}: {ours} I/Os, the controller counted {ios}')
            check(abs(ios * 16384 / 512000 - units) <= 1, f'{kind}: {ios} of 16 KiB, {units}')


main(globals())
