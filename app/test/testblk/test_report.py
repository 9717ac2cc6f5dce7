#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The reports of plx-testblk: fio's keys as fio writes them, series, distributions."""
import json
import os
import re
import shutil
import sys

sys.path.append(sys.path[0] + '/..')
from plx_test import check, main, run  # noqa: E402

TESTBLK = os.path.abspath(sys.argv[1])


def testblk(cwd, *args):
    rc, _, err = run(TESTBLK, '-l', '0', '--', *args, '--json', 'r.json', cwd=cwd)
    check(rc == 0, f'{args}: {rc} {err}')
    with open(os.path.join(cwd, 'r.json')) as f:
        return json.load(f)


NUMBER = (int, float)


def compare(theirs, ours, path):
    """Everything that fio says is there, and of its type."""
    if isinstance(theirs, dict):
        check(isinstance(ours, dict), f'{path}: not an object')
        for key, value in theirs.items():
            if path.endswith('/bins') or path.endswith('options'):
                continue
            check(key in ours, f'{path}/{key} is missing')
            if key in ours:
                compare(value, ours[key], f'{path}/{key}')
    elif isinstance(theirs, list):
        check(isinstance(ours, list) and ours, f'{path}: not a list')
        compare(theirs[0], ours[0], f'{path}[0]')
    elif isinstance(theirs, NUMBER):
        kind = NUMBER if isinstance(theirs, float) else int
        check(isinstance(ours, kind), f'{path}: {ours!r} for {theirs!r}')
    else:
        check(isinstance(ours, type(theirs)), f'{path}: {ours!r} for {theirs!r}')


def test_as_fio(d):
    fio = shutil.which('fio')
    if fio is None:
        print('skipped: comparison with fio itself: no fio here')
        return
    run(fio, '--output-format=json+', '--output=fio.json', '--ioengine=null', '--size=1M',
        '--name=a', '--rw=randrw', '--time_based', '--runtime=200ms', cwd=d)
    with open(os.path.join(d, 'fio.json')) as f:
        theirs = json.load(f)
    ours = testblk(d, '--dev', 'null:size=1G', '--rw', 'randrw', '--time', '0.3',
                   '--log_avg_msec', '50ms')
    compare(theirs, ours, '')


def test_sense(d):
    """The figures agree with each other, and with ours."""
    r = testblk(d, '--dev', 'ram:size=64M', '--rw', 'randrw', '--time', '0.6', '--bs', '8k',
                '--log_avg_msec', '50ms')
    j, ours = r['jobs'][0], r['jobs'][0]['plx']
    check(ours['submitted'] == r['total']['submitted'], 'the job is the run')
    for side in 'read', 'write':
        s = j[side]
        check(s['total_ios'] == ours[side]['ios'] > 0, f'{side}: I/Os')
        check(s['io_bytes'] == 8192 * s['total_ios'], f'{side}: bytes')
        check(abs(s['bw_bytes'] - 8192 * s['iops']) < 1e-6 * s['bw_bytes'] + 2, f'{side}: rate')
        lat = s['clat_ns']
        check(sum(lat['bins'].values()) == lat['N'] == s['total_ios'], f'{side}: bins')
        check(lat['min'] <= lat['percentile']['50.000000'] <= lat['percentile']['99.990000']
              <= lat['max'] * 1.01, f'{side}: {lat}')
        check(abs(lat['mean'] - 1000 * ours[side]['latency_us']['mean']) < 1, f'{side}: mean')
        mean = sum(int(k) * n for k, n in lat['bins'].items()) / lat['N']
        check(abs(mean / lat['mean'] - 1) < 0.02, f'{side}: mean of the bins {mean}')
        series = ours['series'][side]['iops']
        check(len(series) == len(ours['series']['seconds']) > 3, f'{side}: series')
        took = [b - a for a, b in zip([0, *ours['series']['seconds']], ours['series']['seconds'])]
        ios = sum(t * n for t, n in zip(took, series))
        check(abs(ios / s['total_ios'] - 1) < 0.001, f'{side}: {ios} I/Os in the series')
        check(s['iops_min'] <= s['iops_mean'] <= s['iops_max'] and s['iops_samples'] > 0,
              f'{side}: samples')
    shares = sum(sum(j[k].values()) for k in ('latency_ns', 'latency_us', 'latency_ms'))
    check(abs(shares - 100) < 0.01, f'latencies by bound: {shares} %')
    for k in 'iodepth_level', 'iodepth_submit', 'iodepth_complete':
        check(abs(sum(j[k].values()) - 100) < 0.01, f'{k}: {j[k]}')
    check(sum(int(k) * n for k, n in ours['submit_sizes'].items()) >= ours['submitted'],
          'sizes of submits')
    dev = r['devices'][0]['driver_counters']
    check(0 <= dev['doorbells_per_io'] <= 1, f'doorbells: {dev}')


def test_fio_tools(d):
    """Programs that read fio's output read ours."""
    testblk(d, '--dev', 'null:size=1G', '--rw', 'randrw', '--time', '0.3', '--log', 'x',
            '--log_avg_msec', '50ms', '--hist', 'h')
    tool = shutil.which('fio_jsonplus_clat2csv')
    if tool is None:
        print('skipped: fio_jsonplus_clat2csv: not here')
    else:
        for more in [], ['--validate']:
            rc, out, err = run(tool, 'r.json', 'out.csv', *more, cwd=d)
            check(rc == 0, f'fio_jsonplus_clat2csv {more}: {out} {err}')
        check('validated' in out, f'fio_jsonplus_clat2csv: {out}')
    tool = shutil.which('fio2gnuplot')
    if tool is None:
        print('skipped: fio2gnuplot: not here')
        return
    rc, _, _ = run(tool, '-k', '-p', 'x_bw*.log', cwd=d)
    with open(os.path.join(d, 'x_bw.1.log')) as f:
        values = [int(line.split(',')[1]) for line in f]
    with open(os.path.join(d, 'x_bw.global')) as f:
        said = dict(line.strip().split('=') for line in f)
    check(rc == 0 and int(said['values_count']) == len(values) >= 6, f'fio2gnuplot: {said}')
    check(abs(float(said['avg']) - sum(values) / len(values)) < 2, f'fio2gnuplot: {said}')


def test_logs(d):
    r = testblk(d, '--dev', 'ram:size=64M,delay=20', '--rw', 'randread', '--time', '0.4', '--log',
                'x', '--log_avg_msec', '40ms', '--hist', 'h')
    total = 0.0
    for what in 'bw', 'iops', 'lat':
        with open(os.path.join(d, f'x_{what}.1.log')) as f:
            rows = [[int(v) for v in line.split(', ')] for line in f]
        check(all(len(row) == 6 and row[2] == 0 for row in rows), f'{what}: columns')
        check([row[0] for row in rows] == sorted(row[0] for row in rows), f'{what}: times')
        if what == 'iops':
            total = sum(row[1] * (row[0] - a[0]) / 1000 for a, row in zip([[0], *rows], rows))
        if what == 'lat':
            check(all(row[1] >= 20000 for row in rows), f'lat: nanoseconds {rows}')
    ios = r['total']['read']['ios']
    check(abs(total / ios - 1) < 0.1, f'iops.log: {total} of {ios} I/Os')
    with open(os.path.join(d, 'h_read.1.hgrm')) as f:
        text = f.read()
    rows = [line.split() for line in text.splitlines() if re.match(r' +\d', line)]
    values = [float(row[0]) for row in rows]
    check(values == sorted(values) and values[0] >= 20, 'hgrm: values')
    check(int(rows[-1][2]) == ios and float(rows[-1][1]) == 1, 'hgrm: the last line has all')
    check(10 < len(rows) < 500, f'hgrm: {len(rows)} lines')
    p50 = next(v for v, row in zip(values, rows) if float(row[1]) >= 0.5)
    check(abs(p50 / r['total']['read']['latency_us']['p50'] - 1) < 0.25, 'hgrm: the median')
    check(re.search(r'#\[Mean +=.*\n#\[Max +=.*\n#\[Buckets =', text), 'hgrm: its end')
    rc, _, err = run(TESTBLK, '--dev', 'null:size=1M', '--time', '0.01', '--log', '/nonexistent/x')
    check(rc == 1 and '--log' in err, f'a path that is not there: {err}')


main(globals())
