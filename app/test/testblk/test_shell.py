#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The shell of plx-testblk: its commands one after the other, files of them, and a terminal."""
import concurrent.futures
import functools
import json
import os
import pty
import re
import select
import sys
import tempfile
import time

sys.path.append(sys.path[0] + '/..')
import plx_test  # noqa: E402
from plx_test import check, cpu_seconds, end  # noqa: E402

PROGRAM = sys.argv[1]
SOFT_NVME = sys.argv[2] == 'soft-nvme'


run = functools.partial(plx_test.run, PROGRAM)


# Commands, exit code, and what their output has, in this order.
CASES = [
    ('show devs', 0, ['no devices']),
    ('attach ram:size=8M,name=r0; show devs', 0, [r'r0 +ram +8\.0 +512 closed +ram:size=8M,name=r0']),
    ('attach ram:size=8M,name=r0; show dev r0', 0,
     ['r0, ram, closed', '16384 blocks of 512', 'write-zeroes discard']),
    ('attach ram:size=8M,name=r0; show stats r0', 0, ['completed +0', 'senseless +0']),
    ('attach ram:size=8M,name=r0; detach r0; show devs', 0, ['no devices']),
    ('show config', 0, ['rw +randread', 'iodepth +32', 'randseed +1']),
    ('set qd 7; set rw write; show config; unset qd; show config', 0,
     ['rw +write', 'iodepth +7', 'rw +write', 'iodepth +32']),
    ('show lcores', 0, ['main']),
    ('show mem', 0, [r'0x[0-9a-f]+ .*MiB .*fixed']),
    ('dump memzones; dump mempools; dump heap', 0, ['heap of node 0: [1-9]']),
    ('help show', 0, ['show devs', 'show run']),
    ('attach ram:size=8M; set time 0.3; start; wait', 0, ['randread, 4096', 'total|all|ram0']),
    ('attach ram:size=8M; set size 1M; set rw write; set verify crc32c; start', 0,
     ['2048 blocks read and checked, 0 wrong']),
    ('attach ram:size=8M,name=r0; set time 30; start; sleep 0.2; show run; show queues r0; '
     'latency r0 on; sleep 1; show latency r0; stop', 0,
     [r'I/Os, 0 of them failed', 'queue lcore depth', r'read +[1-9]', 'interrupted']),
    ('attach ram:size=8M,name=r0; set time 30; set queues 1; start; queue r0 0 pause; sleep 0.1; '
     'show run; sleep 0.2; show run; queue r0 0 resume; sleep 1; show run; stop', 0,
     [r'IOPS', r' 0 IOPS', r'; [1-9][0-9]* IOPS']),
    ('attach ram:size=8M,name=r0; set time 30; start; reset r0; sleep 0.1; quit; bogus', 0,
     ['interrupted']),
    ('attach ram:size=8M,name=r0; attach ram:size=8M,name=r1; set time 30; start; sleep 0.1; '
     'detach r0; show devs; stop', 1, ['r1', 'r0 .* 0 ', 'errors: r0 queue 0: [0-9]+ ESHUTDOWN']),
    ('attach ram:size=8M,name=r0; start; start', 1, []),
    ('attach ram:size=8M,name=r0; set time 30; start; sleep 0.1; dev stop r0; sleep 0.1; show run; sleep 0.2; '
     'show run; dev start r0; sleep 1; show run; stop', 0,
     [r'IOPS', r' 0 IOPS', r'; [1-9][0-9]* IOPS', 'interrupted']),
    ('attach ram:size=8M,name=r0; set time 30; set queues 2; start; queue r0 1 stop; show queues r0; '
     'queue r0 1 start; stop', 0, [r' 1 +\d+ +32 +0 .* paused']),
    ('attach ram:size=8M,name=r0; set size 1M; start; wait; show stats r0; show xstats r0; '
     'clear stats r0; show stats r0', 0,
     ['read +256 ', r'all\.read\.requests: 256', r'completed +0']),
    ('dev attach ram:size=8M,name=r0; dev reset r0; show ns r0; dev detach r0; show devs', 0,
     ['r0 +16384 +512', 'no devices']),
    # the run keeps the settings that it was started with
    ('attach ram:size=8M,name=r0; set rw randread; set time 30; start; set rw write; set on AAAAAAAA; '
     'sleep 0.1; unset time; stop', 0, ['randread, 4096 bytes.*interrupted']),
    ('attach ram:size=8M,name=r0; dump regs r0', 1, []),
    ('attach ram:size=8M,name=r0; dev format r0 0', 1, []),
    ('attach ram:size=8M,name=r0; dev stop r0', 2, []),
    ('attach ram:size=8M,name=r0; dump sq r0 x', 2, []),
    ('stop', 1, []),
    ('bogus', 2, []),
    ('show', 2, []),
    ('set qd none', 2, []),
    ('set nothing 1', 2, []),
    ('set qd 3; set batch 5; attach ram:size=1M; start', 2, []),
    ('start', 2, []),
    ('attach rom:size=1M', 2, []),
    ('detach r9', 2, []),
    ('reset r9', 2, []),
    ('sleep never', 2, []),
    ('show dev r9', 2, []),
    ('help bogus', 2, []),
]


def test_commands():
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda case: run('--cmd', case[0]), CASES))
    for (commands, code, wants), (rc, out, err) in zip(CASES, results):
        check(rc == code, f'{commands}: exit code {rc}, not {code}: {err}')
        at = 0
        for want in wants:
            m = re.compile(want).search(out, at)
            check(m, f'{commands}: no {want!r} in order in:\n{out}')
            at = m.end() if m else at
        if code == 2:
            lines = [l for l in err.splitlines() if 'hugepages' not in l]
            check(len(lines) == 1, f'{commands}: {lines}')


def test_sources():
    """Options that were given are the first settings; commands come from arguments, then a file."""
    with tempfile.TemporaryDirectory() as d:
        with open(f'{d}/cmds', 'w') as f:
            f.write('# a remark\n\n  set time 0.2  \nset json %s/out.json\nstart\nwait\nshow run\n' % d)
        rc, out, err = run('--dev', 'ram:size=8M', '--qd', '5', '--cmd', 'show config',
                           '--cmdline-file', f'{d}/cmds')
        check(rc == 0 and re.search(r'iodepth +5\b', out) and 'nothing runs' in out, f'a file: {out} {err}')
        with open(f'{d}/out.json') as f:
            report = json.load(f)
        check(report['options']['qd'] == 5 and report['options']['time_s'] == 0.2, 'json of a run')
        rc, out, _ = run('--cmdline-file', '-', input='attach null:size=1G\nshow devs\n')
        check(rc == 0 and 'null0' in out, 'commands from stdin')
        rc, _, err = run('--cmdline-file', f'{d}/none')
        check(rc == 2 and 'No such file' in err, 'a file that is not there')


def test_insides():
    """A controller's registers and queues, a format, and what may be done to a queue."""
    rc, out, err = run('--cmd', 'attach soft-nvme:size=64M,name=nv; dump regs nv/n1; dump sq nv/n1 admin; '
                       'set time 30; start; sleep 0.1; dump sq nv/n1 0; dump cq nv/n1 0; stop; '
                       'dev format nv/n1 0; show ns nv/n1; dump cq nv/n1 0')
    at = 0
    for want in (r'csts +0x\d+1\n', r'csts +rdy 1', 'admin queue, 64 entries', 'opc 06',
                 r'submission queue 1 at 0x[0-9a-f]+, \d+ entries', 'opc 02 ',
                 'completion queue 1 at', 'status 0 sqid 1', 'interrupted', r'nv/n1 +131072 +512'):
        m = re.compile(want).search(out, at)
        check(m, f'no {want!r} in order in {out} {err}')
        at = m.end() if m else at
    check(rc == 1 and "no queue '0'" in err, f'a queue that is gone: {rc} {err}')


def test_nvme():
    rc, out, err = run('--cmd', 'attach soft-nvme:size=64M,name=nv; set time 30; set rw randrw; start; '
                       'sleep 0.3; reset nv/n1; sleep 0.3; show run; detach nv; show devs; sleep 0.1; stop')
    check('was reset and goes on' in err and 'no devices' in out, f'reset and detach: {out} {err}')
    row = re.search(r'^nv/n1 +all +(\d+) +(\d+) +(\d+) +(\d+)', out, re.M) or \
        re.search(r'^nv/n1 +0 +\d+ +(\d+) +(\d+) +(\d+) +(\d+) ', out, re.M)
    check(row, f'no account: {out}')
    if row:
        submitted, completed, failed, cancelled = map(int, row.groups())
        check(submitted == completed + failed + cancelled and completed > 1000, f'account: {out}')
    check(rc == 1, 'I/Os that were cancelled count as failures')


class Terminal:
    def __init__(self, *args):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(PROGRAM, [PROGRAM, *args])
        self.seen = ''

    def expect(self, pattern, seconds=30):
        until = time.time() + seconds
        while time.time() < until:
            # of all that came: a control sequence may come in two pieces
            clean = re.sub(r'\x1b\[[0-9;]*[A-Za-z]', '', self.seen)
            m = re.search(pattern, clean)
            if m:
                self.seen = clean[m.end():]
                return
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.fd, 65536).decode(errors='replace')
                except OSError:
                    break
        check(False, f'terminal: no {pattern!r} in {self.seen!r}')

    def type(self, text):
        os.write(self.fd, text.encode())

    def end(self):
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


def test_terminal():
    t = Terminal('-i', '--dev', 'ram:size=8M,name=disk0')
    t.expect('testblk> ')
    t.type('sho\tde\t')  # completes the words
    t.expect('show dev')
    t.type('s\r')
    t.expect(r'disk0 +ram')
    t.type('show dev di\t\r')  # and the names of devices
    t.expect('16384 blocks')
    before = cpu_seconds(t.pid)
    time.sleep(2)
    check(cpu_seconds(t.pid) - before < 0.3, 'waiting for a key keeps the CPU busy')
    t.type('set time 30\rset rw randwrite\rstart\r')
    time.sleep(0.5)
    t.type('show run\r')
    t.expect(r'[1-9][0-9]* I/Os, 0 of them failed')
    t.type('reset disk0\r')
    t.expect('was reset and goes on')
    t.type('stop\r')
    t.expect('interrupted')
    t.type('\x1b[A\x1b[A\r')  # history: the line before the last
    t.expect('reset disk0')
    t.type('nonsense\r')
    t.expect('Command not found|no such|Bad arguments')
    t.type('set time 0.2\rstart\r')
    t.expect('an I/O: ns')  # it ends by itself, and reports
    t.type('quit\r')
    check(t.end() == 0, 'exit code of the shell')


test_commands()
test_sources()
test_terminal()
if SOFT_NVME:
    test_nvme()
    test_insides()
end()
