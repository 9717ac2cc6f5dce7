#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""plx-testblk as users run it: wrong command lines, reports, verification, signals."""
import concurrent.futures
import functools
import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
import time

sys.path.append(sys.path[0] + '/..')
import plx_test  # noqa: E402
from plx_test import check, main, parts  # noqa: E402

PROGRAM = sys.argv[1]


run = functools.partial(plx_test.run, PROGRAM)
run_json = functools.partial(plx_test.run_json, PROGRAM)


def check_account(r, what):
    """What was submitted came back, and the queues add up to their device and the total."""
    for s in parts(r):
        check(s['submitted'] == s['completed'] + s['failed'] + s['cancelled'], f'{what}: account')
        for side in ('read', 'write'):
            lat = s.get(side, {}).get('latency_us')
            if lat and s[side]['ios']:
                check(0 < lat['p50'] <= lat['p99'] <= lat['p99.9'] <= lat['p99.99']
                      <= lat['max'] * 1.001, f'{what}: latencies {lat}')
    for key in ('submitted', 'completed', 'failed'):
        check(r['total'][key] == sum(d[key] for d in r['devices']), f'{what}: {key} of devices')
        for d in r['devices']:
            check(d[key] == sum(q[key] for q in d['queues']), f'{what}: {key} of queues')


# Each ends with code 2 and one line that holds the words.
BAD = [
    ('', ['--dev']),
    ('--dev', ['--dev', 'needs a value']),
    ('--dev ram', ['--dev', "'ram'", 'device string']),
    ('--dev ram:size=1M --qdd 3', ['--qdd', 'did you mean', '--qd']),
    ('--dev ram:size=1M --alow-write', ['--alow-write', '--allow-write']),
    ('--dev ram:size=1M --zzz', ['--zzz', '--help']),
    ('--dev ram:size=1M -q 3', ['-q', '--help']),
    ('ram:size=1M', ['ram:size=1M', '--dev']),
    ('--dev ram:size=1M --rw random', ['--rw', "'random'", 'randread']),
    ('--dev ram:size=1M --rw rw --opmix read/50:write', ['--opmix', 'shares']),
    ('--dev ram:size=1M --rw rw --opmix read/50:write/49', ['--opmix', '100']),
    ('--dev ram:size=1M --random_distribution zipf:0', ['zipf:0', 'pareto']),
    ('--dev ram:size=1M --random_distribution zoned_abs:100/2M', ['zones', 'ram0']),
    ('--dev ram:size=1M --random_distribution zoned:50/50', ['zoned:50/50', 'SHARE']),
    ('--dev ram:size=1M --rw randwrite --random_distribution zoned:100/50 --verify crc32c',
     ['--queues 1']),
    ('--dev ram:size=1M --rw read --random_distribution zipf:1.2', ['--random_distribution']),
    ('--dev ram:size=1M --bssplit 4k/60:8k/50', ['--bssplit', '100']),
    ('--dev ram:size=1M --rw randwrite --bsrange 4k-8k --verify crc32c', ['--verify', 'one size']),
    ('--dev ram:size=1M --time_based', ['--runtime']),
    ('--dev ram:size=1M --on ram1', ['--on']),
    ('--dev ram:size=1M --rate 0', ['--rate', "'0'"]),
    ('--dev ram:size=1M --jobfile /nonexistent/x', ['/nonexistent/x']),
    ('--dev ram:size=1M --rwmix 50', ['--rwmix', 'randrw']),
    ('--dev ram:size=1M --rw rw --rwmix 101', ['--rwmix', "'101'"]),
    ('--dev ram:size=1M --bs 4x', ['--bs', "'4x'"]),
    ('--dev ram:size=1M --bs 0', ['--bs', "'0'"]),
    ('--dev ram:size=1M --bs -1', ['--bs', "'-1'"]),
    ('--dev ram:size=1M --bs 99999999999999999999', ['--bs']),
    ('--dev ram:size=1M --size 17179869184G', ['--size', '17179869184G']),
    ('--dev ram:size=1M --bs 1000', ['--bs', '1000', '512', 'ram0']),
    ('--dev ram:size=1M --qd 0', ['--qd', "'0'"]),
    ('--dev ram:size=1M --qd 70000', ['--qd', "'70000'"]),
    ('--dev ram:size=1M --qd 60000', ['--iodepth', '60000', 'ram0']),
    ('--dev ram:size=1M --qd 4 --batch 8', ['--iodepth_batch', '--iodepth']),
    ('--dev ram:size=1M,zone=256K --rw randwrite', ['randwrite', 'ram0', 'zoned']),
    ('--dev ram:size=1M,zone=256K --rw write --qd 2', ['ram0', 'zoned', '--iodepth 1']),
    ('--dev ram:size=1M --time 0', ['--time', "'0'"]),
    ('--dev ram:size=1M --time soon', ['--time', "'soon'"]),
    ('--dev ram:size=1M --time inf', ['--time', "'inf'"]),
    ('--dev ram:size=1M --size 2M', ['--size', 'ram0', '1048576']),
    ('--dev ram:size=1M --size 5000', ['--size', '5000']),
    ('--dev ram:size=512', ['--bs 4096', 'ram0', '512']),
    ('--dev ram:size=1M,name=r --dev ram:size=1M,name=r', ["'r'", 'taken']),
    ('--dev ram:size=1M --offset 1M', ['--offset', 'ram0']),
    ('--dev ram:size=1M --offset 100', ['--offset', '100']),
    ('--dev ram:size=1M --queues 60000', ['--queues', '60000', 'ram0']),
    ('--dev ram:size=8K --queues 3', ['ram0', '3 queues']),
    ('--dev ram:size=1M --lcores 1-', ['--lcores', "'1-'"]),
    ('--dev ram:size=1M --lcores 99', ['--lcores', '99']),
    ('--dev ram:size=1M --numjobs 0', ['--numjobs', "'0'"]),
    ('--dev ram:size=1M --numjobs 65', ['ram0', 'queues']),
    ('--dev ram:size=1M --numjobs 2 --rw write --verify crc32c', ['--numjobs', '--offset_inc']),
    ('--dev ram:size=1M --numjobs 2 --offset_increment 1M', ['--offset', '1048576']),
    ('--dev ram:size=1M,zone=256K --numjobs 2 --rw append', ['--numjobs', 'append']),
    ('--dev ram:size=1M --poll-mode lazy', ['--poll-mode', "'lazy'", 'adaptive']),
    ('--dev ram:size=1M --verify md5', ['--verify', "'md5'", 'crc32c']),
    ('--dev null:size=1M --rw write --verify crc32c', ['--verify', 'null0']),
    ('--dev ram:size=1M --seed x', ['--seed', "'x'"]),
    ('--dev ram:size=1M --help=3', ['--help', 'no value']),
    ('--dev ram:size=1M --json /nonexistent/x', ['--json', '/nonexistent/x']),
    ('--dev nosuch:size=1M', ['nosuch']),
    ('--dev ram:sise=1M', ['sise', 'size']),
    ('--dev ram:size=xyz', ['size', 'xyz']),
    ('--dev vfio-user:/nonexistent', ['/nonexistent']),
]


def lines_of_ours(err):
    """Without what the start of EAL says of hugepages."""
    return [x for x in err.splitlines() if x.strip() and 'eal:' not in x and 'EAL:' not in x]


def test_bad():
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda bad: run(*bad[0].split()), BAD))
    for (line, words), (rc, out, err) in zip(BAD, results):
        lines = lines_of_ours(err)
        check(rc == 2, f'{line}: exit code {rc}')
        check(out == '', f'{line}: printed {out!r}')
        check(len(lines) == 1, f'{line}: {len(lines)} lines: {err}')
        check(all(w in err for w in words), f'{line}: {words} not in: {err}')


def test_help():
    rc, out, _ = run('--help')
    check(rc == 0 and 'Examples' in out, 'help')
    for opt in ('dev', 'rw', 'rwmixread', 'bs', 'iodepth', 'iodepth_batch', 'time', 'size', 'offset', 'queues',
                'lcores', 'verify', 'json', 'allow-write', 'randseed', 'version'):
        check(f'--{opt}' in out, f'help: {opt}')
    rc, out, _ = run('--version')
    check(rc == 0 and out.startswith('plx-testblk '), 'version')


def test_null():
    t = time.monotonic()
    rc, r, _ = run_json('-l', '0', '--', '--dev', 'null:size=1G,name=a', '--dev', 'null:size=1G',
                        '--rw', 'randrw', '--rwmix', '70', '--time', '0.3', '--queues', '2')
    check(rc == 0, f'null: exit code {rc}')
    check(time.monotonic() - t < 20, 'null: took too long')
    check_account(r, 'null')
    check([d['name'] for d in r['devices']] == ['a', 'null0'], 'null: names')
    check(all(len(d['queues']) == 2 for d in r['devices']), 'null: queues')
    share = r['total']['read']['ios'] / r['total']['completed']
    check(0.69 < share < 0.71, f'null: {share} of reads')
    check(0.29 < r['total']['seconds'] < 10, f"null: ran for {r['total']['seconds']} s")
    for key in ('submit_ns_per_io', 'complete_ns_per_io', 'tester_ns_per_io', 'tsc_cycles_per_io'):
        check(r['total'][key] > 0, f'null: {key}')


def test_size():
    """Each block once, in each pattern; the parts of queues make up the whole."""
    for rw in ('read', 'randread', 'write', 'randwrite', 'randrw'):
        rc, r, _ = run_json('-l', '0', '--', '--dev', 'ram:size=4M', '--rw', rw, '--size', '1020K',
                            '--offset', '2M', '--queues', '4')
        check(rc == 0, f'size {rw}: exit code {rc}')
        check_account(r, f'size {rw}')
        check(r['total']['completed'] == 255, f"size {rw}: {r['total']['completed']}")


def test_verify():
    for rw, more in (('write', ['--size', '4M']), ('randwrite', ['--size', '4M']),
                     ('write', ['--time', '0.2']), ('randwrite', ['--time', '0.2']),
                     ('rw', ['--time', '0.2', '--bs', '16k']), ('randrw', ['--time', '0.2']),
                     ('randwrite', ['--size', '4M', '--bs', '512', '--queues', '3'])):
        what = f'verify {rw} {more}'
        rc, r, _ = run_json('-l', '0', '--', '--dev', 'ram:size=8M', '--dev',
                            'ram:size=8M,block=4096' if '512' not in more else 'ram:size=8M',
                            '--rw', rw, '--verify', 'crc32c', *more)
        v = r['verify']
        check(rc == 0, f'{what}: exit code {rc}')
        check_account(r, what)
        check(v['wrong_blocks'] == 0 and v['complete'], f'{what}: {v}')
        check(v['checked_blocks'] > 0, f'{what}: nothing checked')
        if '--size' in more:  # in the devices' own blocks
            wanted = sum((4 << 20) // d['block_size_bytes'] for d in r['devices'])
            check(v['checked_blocks'] == wanted, f'{what}: {v} of {wanted}')


def test_verify_bites():
    """Reading back what nobody wrote must fail, and say where."""
    rc, out, _ = run('--dev', 'ram:size=1M', '--rw', 'read', '--size', '1M', '--verify', 'crc32c')
    check(rc == 1, f'unwritten: exit code {rc}')
    check('first mismatch: ram0 block ' in out and 'no tag' in out, f'unwritten: {out}')
    rc, r, _ = run_json('--dev', 'ram:size=1M', '--rw', 'read', '--size', '1M', '--verify',
                        'crc32c')
    check(rc == 1 and r['exit_code'] == 1, f'unwritten: exit code {rc}')
    check(r['verify']['wrong_blocks'] == 2048, 'unwritten: count')
    check('expected' in r['verify']['first_mismatch'], 'unwritten: expected')


def test_errors():
    rc, r, _ = run_json('-l', '0', '--', '--dev', 'ram:size=1M,error_read=100', '--rw', 'read',
                        '--size', '1M')
    check(rc == 1, f'error_read: exit code {rc}')
    check_account(r, 'error_read')
    check(r['total']['failed'] == 1 and r['total']['errors'] == {'EIO': 1}, 'error_read: count')
    rc, r, _ = run_json('-l', '0', '--', '--dev', 'ram:size=1M,error_every=10', '--rw', 'randrw',
                        '--time', '0.2', '--verify', 'crc32c')
    check(rc == 1, f'error_every: exit code {rc}')
    check_account(r, 'error_every')
    share = r['total']['failed'] / r['total']['submitted']
    check(0.09 < share < 0.11, f'error_every: {share} failed')
    check(r['verify']['wrong_blocks'] == 0, 'error_every: a failed write is no mismatch')
    rc, out, _ = run('--dev', 'ram:size=1M,error_write=0', '--rw', 'write', '--size', '1M',
                     '--verify', 'crc32c')
    check(rc == 1 and 'EIO' in out and 'left out' in out, f'error_write: {rc} {out}')


class Terminal:
    """A run whose stderr is a terminal, so that it shows a line each second."""

    def __init__(self, *args):
        self.fd, tty = pty.openpty()
        self.p = subprocess.Popen([PROGRAM, *args], stdout=subprocess.PIPE, stderr=tty, text=True)
        os.close(tty)
        self.err = ''

    def wait_for(self, text):
        while text not in self.err:
            self.err += os.read(self.fd, 4096).decode()

    def end(self):
        """Exit code and stdout."""
        out, _ = self.p.communicate(timeout=30)
        try:
            while True:
                self.err += os.read(self.fd, 4096).decode()
        except OSError:  # the last of it has been read
            os.close(self.fd)
        return self.p.returncode, out


def test_interrupt():
    """The first signal ends the run in order, with its reports."""
    t = Terminal('-l', '0', '--', '--dev', 'ram:size=8M,delay=200', '--rw', 'randwrite',
                 '--verify', 'crc32c', '--time', '60', '--json', '-')
    t.wait_for('p99')
    t.p.send_signal(signal.SIGINT)
    rc, out = t.end()
    check(rc == 0, f'SIGINT: exit code {rc}: {t.err}')
    check('IOPS, ' in t.err and 'MiB/s' in t.err, f'SIGINT: live line: {t.err}')
    r = json.loads(out)
    check_account(r, 'SIGINT')
    check(r['interrupted'] and r['total']['submitted'] > 0, 'SIGINT: report')
    check('interrupted' in t.err, 'SIGINT: the table is on stderr')


def test_interrupt_twice():
    """The second signal does not wait for commands that take seconds."""
    t = Terminal('-l', '0', '--', '--dev', 'ram:size=8M,delay=9000000', '--time', '60')
    t.wait_for('p99')
    t.p.send_signal(signal.SIGINT)
    time.sleep(0.2)
    check(t.p.poll() is None, 'SIGINT: did not wait for what is in flight')
    t.p.send_signal(signal.SIGINT)
    rc, _ = t.end()
    check(rc == 130, f'second SIGINT: exit code {rc}')


def test_json_file():
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, 'r.json')
        rc, out, err = run('--dev', 'ram:size=1M', '--time', '100ms', '--json', path)
        check(rc == 0 and 'IOPS' in out, f'json file: {rc} {err}')
        with open(path) as f:
            r = json.load(f)
        check(r['format'] == 1 and r['options']['bs_bytes'] == 4096, 'json file')
        check_account(r, 'json file')


main(globals())
