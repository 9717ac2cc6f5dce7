#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""plx-testblk's workloads: accounts, shares and what stands on the devices afterwards."""
import os
import sys

sys.path.append(sys.path[0] + '/..')
import plx_test  # noqa: E402
from plx_test import check, cpus, main, run_json  # noqa: E402

PROGRAM = sys.argv[1]


def run(*args, lcores='0'):
    return plx_test.run(PROGRAM, '-l', lcores, '--', *args)


def report(*args, rc=0, lcores='0'):
    """The jobs of a run, each with an account that is checked."""
    got, r, err = run_json(PROGRAM, '-l', lcores, '--', *args)
    check(got == rc, f'{args}: exit code {got}: {err}')
    for i, job in enumerate(r['jobs']):
        job['devices'] = [x for x in r['devices'] if x['job'] == i]
        t = job['plx']
        check(t['submitted'] == t['completed'] + t['failed'] + t['cancelled'], f'{args}: {t}')
    return r['jobs']


def total(*args, **kw):
    return report(*args, **kw)[0]['plx']


def near(got, want, part):
    return abs(got - want) <= part * want


def at_most(t, iops):
    """Below the limit: a busy machine may keep a run from reaching it. A tenth of a second may be
    made up for."""
    return 0 < t['completed'] <= iops * (max(t['seconds'], 0.3) + 0.15)


def test_mixes():
    t = total('--dev', 'ram:size=8M', '--rw', 'randrw', '--opmix',
              'read/50:write/30:trim/10:zeroes/8:flush/2', '--number_ios', '50000')
    check(t['completed'] == 50000, f'opmix: {t}')
    for side, share in (('read', 50), ('write', 30), ('trim', 10), ('zeroes', 8), ('other', 2)):
        check(near(t[side]['ios'], 500 * share, 0.1), f'opmix: {side}: {t[side]}')
    job = report('--dev', 'ram:size=8M', '--rw', 'randrw', '--bssplit', '4k/50:64k/50,16k',
                 '--number_ios', '20000')[0]
    mean = job['read']['io_bytes'] / job['read']['total_ios']
    check(near(mean, 34 << 10, 0.03), f'bssplit: {mean} bytes a read')
    check(job['write']['io_bytes'] == job['write']['total_ios'] << 14, 'bssplit: writes')
    t = total('--dev', 'ram:size=8M', '--rw', 'trimwrite', '--size', '1M', '--bs', '8k')
    check(t['trim']['ios'] == t['write']['ios'] == 128, f'trimwrite: {t}')
    t = total('--dev', 'null:size=8M', '--rw', 'null', '--number_ios', '5000')
    check(t['completed'] == 5000, f'null: {t}')


def test_zones():
    """Nine tenths of the writes to the first tenth, and none behind the zones."""
    for queues in ('1', '3'):
        t = total('--dev', 'ram:size=8M,name=r', '--rw', 'randwrite', '--random_distribution',
                  'zoned_abs:90/512k:10/4M', '--size', '6M', '--queues', queues)
        check(t['completed'] == 1536, f'zoned_abs: {t}')
    t = total('--dev', 'ram:size=8M', '--rw', 'randrw', '--random_distribution', 'zoned:80/20:20/80',
              '--verify', 'crc32c', '--queues', '1', '--number_ios', '5000')
    check(t['failed'] == 0, f'zoned: {t}')
    t = total('--dev', 'ram:size=8M', '--rw', 'randrw', '--random_distribution', 'normal:10',
              '--verify', 'crc32c', '--number_ios', '5000')
    check(t['failed'] == 0, f'normal: {t}')


def test_clones():
    """Each clone does all of it with a queue of its own, and has its own report, or all have one."""
    dev = ['--dev', 'ram:size=8M,name=a', '--dev', 'ram:size=8M,name=b', '--numjobs', '3']
    jobs = report(*dev, '--rw', 'randread', '--number_ios', '1000')
    check([j['plx']['completed'] for j in jobs] == [2000] * 3, 'numjobs: I/Os')
    for j in jobs:
        check([len(d['queues']) for d in j['devices']] == [1, 1], f"numjobs: {j['devices']}")
    job = report(*dev, '--rw', 'randrw', '--size', '1M', '--offset_increment', '2M',
                 '--group_reporting', '--verify', 'crc32c')
    check(len(job) == 1 and job[0]['plx']['completed'] >= 1536, f"group: {job[0]['plx']}")
    v = job[0]['plx']['verify']
    check(v['complete'] and v['wrong_blocks'] == 0, f'group: {v}')
    check(sorted((d['name'], d['clone'], d['queues'][0]['queue']) for d in job[0]['devices']) ==
          sorted((n, c, c) for n in 'ab' for c in range(3)), f"group: {job[0]['devices']}")
    rc, out, err = run(*dev, '--rw', 'read', '--size', '1M')
    check(rc == 0 and 'clone 3 of 3: read' in out, f'clones: {out} {err}')
    rc, out, err = run(*dev, '--rw', 'read', '--size', '1M', '--group_reporting')
    check(rc == 0 and '3 clones of read' in out, f'clones: {out} {err}')


def test_bounds():
    for rw, *more in (('read',), ('randwrite', '--random_distribution', 'pareto:0.2'),
                      ('randrw', '--bsrange', '4k-16k')):
        t = total('--dev', 'ram:size=8M', '--dev', 'ram:size=8M', '--rw', rw, '--queues', '3',
                  '--number_ios', '1000', *more)
        check(t['completed'] == 2000, f"number_ios: {rw} {more}: {t['completed']}")
        job = report('--dev', 'ram:size=8M', '--rw', rw, '--queues', '3', '--io_size', '20M',
                     *more)[0]
        moved = job['read']['io_bytes'] + job['write']['io_bytes']
        check(20 << 20 <= moved <= (20 << 20) + 3 * 16384, f'io_size: {rw} {more}: {moved}')
    t = total('--dev', 'ram:size=8M', '--rw', 'read', '--runtime', '20')
    check(t['completed'] == 2048, f'runtime: one pass: {t}')
    t = total('--dev', 'ram:size=8M', '--rw', 'read', '--ramp_time', '0.3', '--time', '0.2',
              '--rate_iops', '2000')
    check(at_most(t, 2000), f'ramp: {t}')
    t = total('--dev', 'ram:size=8M', '--rw', 'randread', '--time', '0.3', '--rate_iops', '3000',
              '--queues', '2')
    check(at_most(t, 3000), f'rate_iops: {t}')
    t = total('--dev', 'ram:size=8M', '--dev', 'ram:size=8M', '--rw', 'randread', '--time', '0.3',
              '--lcore_rate', '12M')
    check(at_most(t, 3072), f'lcore_rate: {t}')
    t = total('--dev', 'ram:size=8M', '--rw', 'randread', '--time', '0.2', '--thinktime', '10ms',
              '--thinktime_blocks', '7')
    check(at_most(t, 700), f'thinktime: {t}')


def test_depth():
    """A device whose I/Os take 1 ms each meets 100 ms at any depth, and 10 us at none."""
    args = ['--dev', 'ram:size=8M,delay=1000', '--iodepth', '8', '--latency_window', '5ms']
    rc, out, _ = run(*args, '--latency_target', '100ms', '--latency_percentile', '50')
    check(rc == 0 and ' 8 in flight keep 50 % below' in out, f'latency_target: {out}')
    rc, out, _ = run(*args, '--latency_target', '10')
    check(rc == 0 and 'not met by one I/O in flight' in out, f'latency_target: {out}')


def test_append():
    t = total('--dev', 'ram:size=8M,zone=1M', '--rw', 'append', '--size', '4M', '--queues', '2')
    check(t['write']['ios'] == 1024 and t['other']['ios'] == 4, f'append: {t}')
    t = total('--dev', 'ram:size=2M,zone=1M', '--rw', 'append', '--bssplit', '4k/50:32k/50',
              '--number_ios', '3000')
    check(t['write']['ios'] == 3000 and t['failed'] == 0, f'append, over and over: {t}')
    for args, word in ((['--dev', 'ram:size=2M', '--rw', 'append'], 'no zones'),
                       (['--dev', 'ram:size=2M,zone=1M', '--rw', 'append', '--size', '512K'],
                        'whole zones'),
                       (['--dev', 'ram:size=2M,zone=1M', '--rw', 'randwrite'], 'zoned')):
        rc, _, err = run(*args)
        check(rc == 2 and word in err, f'{args}: {rc} {err}')


def test_files(d):
    """What a copy leaves behind, by the files that the devices have."""
    a, b = (os.path.join(d, x) for x in 'ab')
    with open(a, 'wb') as f:
        f.write(os.urandom(4 << 20))
    t = total('--dev', f'ram:file={a},size=4M', '--dev', f'ram:file={b},size=4M,block=4096,name=b',
              '--allow-write', '--rw', 'copy', '--copy_to', 'b', '--size', '4M', '--bs', '16k', '--queues', '2')
    check(t['read']['ios'] == t['write']['ios'] == 256, f'copy: {t}')
    with open(a, 'rb') as f, open(b, 'rb') as g:
        check(f.read() == g.read(), 'copy: the files differ')
    for args, word in ((['--rw', 'copy'], '--copy_to'),
                       (['--rw', 'copy', '--copy_to', 'x'], "x: no device"),
                       (['--rw', 'read', '--copy_to', 'b'], '--rw copy')):
        rc, _, err = run('--dev', 'ram:size=1M', *args)
        check(rc == 2 and word in err, f'{args}: {rc} {err}')


def test_replay(d):
    path = os.path.join(d, 'log')
    with open(path, 'w') as f:
        f.write('fio version 3 iolog\n0 /x add\n0 /y add\n0 /x open\n0 /y open\n'
                '5 /x write 0 4096\n6 /y read 4096 8192\n7 /x trim 8192 4096\n9 /x sync 0 0\n'
                '100000 /y write 0 512\n')
    t = total('--dev', 'ram:size=1M', '--dev', 'ram:size=1M', '--read_iolog', path)
    check([t[s]['ios'] for s in ('read', 'write', 'trim', 'other')] == [1, 2, 1, 1], f'replay: {t}')
    check(0.09 < t['seconds'] < 5, f'replay: {t["seconds"]} s')
    with open(path + '2', 'w') as f:  # the first device has the larger I/Os
        f.write('fio version 2 iolog\n/x read 0 1048576\n/y write 0 512\n/x write 0 1048576\n')
    t = total('--dev', 'ram:size=1M', '--dev', 'ram:size=1M', '--read_iolog', path + '2',
              '--iodepth', '2')
    check(t['read']['ios'] == 1 and t['write']['ios'] == 2, f'replay: large: {t}')
    jobs = report('--dev', 'ram:size=1M', '--dev', 'ram:size=1M', '--read_iolog', path,
                  '--replay_redirect', 'ram1', '--replay_no_stall', '--replay_skip', 'sync,trim')
    ios = [x['completed'] for x in jobs[0]['devices']]
    check(ios == [0, 3], f'redirect: {ios}')
    for args, word in ((['--dev', 'ram:size=1M'], "'/y'"),
                       (['--dev', 'ram:size=4K', '--dev', 'ram:size=1M'], 'beyond the end'),
                       (['--dev', 'ram:size=1M', '--dev', 'ram:size=1M,block=4096'],
                        '--replay_align'),
                       (['--dev', 'ram:size=1M', '--verify', 'crc32c'], '--verify')):
        rc, _, err = run(*args, '--read_iolog', path)
        check(rc == 2 and word in err, f'{args}: {rc} {err}')


JOBS = """; remarks
[global]
bs=4k
number_ios=500
iodepth = 8

[one]
# a zipf reader
filename=ram\\:size=8M,name=a
rw=randread
random_distribution=zipf:1.2

[two]
dev=ram:size=8M,name=b
rw=write
startdelay=0.1

[three]
stonewall
dev=ram:size=8M,name=a
rw=randrw
rwmixread=10
"""


def test_jobs(d):
    path = os.path.join(d, 'jobs.fio')

    def write(text):
        with open(path, 'w') as f:
            f.write(text)
    write(JOBS)
    jobs = report('--jobfile', path)
    check([j['jobname'] for j in jobs] == ['one', 'two', 'three'], 'jobs: names')
    check([[x['name'] for x in j['devices']] for j in jobs] == [['a'], ['b'], ['a']],
          'jobs: devices')
    check([j['read']['total_ios'] + j['write']['total_ios'] for j in jobs] == [500] * 3,
          'jobs: counts')
    check(jobs[0]['write']['total_ios'] == 0 and jobs[1]['read']['total_ios'] == 0 and
          20 < jobs[2]['read']['total_ios'] < 80, 'jobs: directions')
    for text, line, word in (('[a]\nrw=read\ndirect=1\n', 3, "'direct'"), ('rw=read\n', 1, 'section'),
                             ('[a]\nrw=reed\n', 2, "'reed'"), ('[a\n', 1, '[name]'),
                             ('[global]\nbs=4k\n', None, 'no job'), ('[a]\nbs\n', 2, 'value'),
                             ('[a]\nrw=read\nrwmixread=3\n[b]\n', 4, '--rwmixread'),
                             ('[a]\ncmd=quit\n', 2, "'cmd'")):
        write(text)
        rc, _, err = run('--dev', 'ram:size=1M', '--jobfile', path)
        check(rc == 2 and word in err and (line is None or f'line {line}:' in err), f'{text!r}: {err}')
    write('[a]\nrw=read\ndirect=1\nnumber_ios=10\n')
    rc, out, err = run('--dev', 'ram:size=1M', '--jobfile', path, '--ignore-unknown')
    check(rc == 0 and "'direct' is ignored" in err and 'a: read' in out, f'ignore: {err} {out}')


def test_hop():
    """Each queue by way of another lcore; a device that leaves under it is no less accounted for."""
    rc, _, err = run('--dev', 'ram:size=1M', '--hop', lcores=str(cpus()[0]))
    check(rc == 2 and 'two lcores' in err, f'hop: {rc} {err}')
    if len(cpus()) < 2:
        return
    two = '{},{}'.format(*cpus())
    t = total('--dev', 'ram:size=4M', '--hop', '--rw', 'randwrite', '--size', '4M', '--bs', '32k',
              '--verify', 'crc32c', lcores=two)
    check(t['write']['ios'] == t['readback']['ios'] == 128, f'hop: {t}')
    rc, out, err = run('--cmd', 'attach ram:size=4M,name=a; set hop yes; set time 30; start; '
                       'sleep 0.2; detach a; sleep 0.1; stop', lcores=two)
    check(rc == 1 and 'ESHUTDOWN' in out and 'lost' not in out, f'hop, detach: {rc} {out} {err}')


main(globals())
