#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""plx-testblk treated roughly: files that are no text, outputs that take nothing, terminals that go
away. Each ends with one line and a code, and runs with their account."""
import os
import pty
import signal
import subprocess
import sys
import time

sys.path.append(sys.path[0] + '/..')
from plx_test import check, main, wait_for  # noqa: E402

PROGRAM = sys.argv[1]
RUN = ['-l', '0', '--', '--dev', 'ram:size=1M,delay=200,name=r']


def said(err):
    """Without what the start of EAL says of hugepages."""
    return [x for x in err.decode(errors='replace').splitlines() if x and 'eal:' not in x]


def run(*args, **kw):
    p = subprocess.run([PROGRAM, *args], stderr=subprocess.PIPE, timeout=60,
                       **{'stdout': subprocess.PIPE, **kw})
    return p.returncode, (p.stdout or b'').decode(), said(p.stderr)


def refused(words, *args, code=2):
    rc, out, lines = run(*args)
    check(rc == code and out == '' and len(lines) == 1, f'{args}: {rc} {out!r} {lines}')
    check(all(w in ''.join(lines) for w in words), f'{args}: {words} not in {lines}')
    check(len(''.join(lines)) < 1200 and ''.join(lines).isprintable(), f'{args}: {lines}')


def test_files(folder):
    def file(name, content):
        path = os.path.join(folder, name)
        with open(path, 'wb') as f:
            f.write(content)
        return path

    job = b'[a]\ndev=ram:size=1M\nnumber_ios=10\n'
    for name, content, words in (
            ('binary', os.urandom(5000) + b'\0', ['zero byte']),
            ('zero', job + b'\0bs=8k\n', ['zero byte']),
            ('wide', job + b'rw=' + b'x' * 1000000, ['line 4']),
            ('bell', job + b'rw=\x07\x1b[2J\n', ['line 4', '??[2J']),
            ('many', b'[a]\ndev=ram:size=1M\n' * 100000, ['line 129', '64 jobs']),
            ('loop', b'[a]\ninclude loop\n', ['line 2', 'include loop']),
            ('clones', job + b'numjobs=257\n', ['line 4', '256']),
            ('modes', job + b'[b]\npoll_mode=adaptive\n', ['--poll-mode', '[global]'])):
        refused(words, '--jobfile', file(name, content))
    refused(['nothing'], '--jobfile', folder)
    rc, _, lines = run('--jobfile', file('long', job + b'bs=4k\n' * 100000))
    check(rc == 0, f'long: {rc} {lines}')
    rc, out, lines = run('--jobfile', file('twice', job + job), '--json', '-')
    check(rc == 0 and out.count('"jobname": "a"') == 2, f'twice: {rc} {lines}')
    refused(['directory'], '--cmdline-file', folder)
    refused(['zero byte'], '--cmdline-file', file('zero.cmd', b'help\0\n'))
    refused(['1022'], '--cmdline-file', file('wide.cmd', b'#\n' + b'help ' * 1000))
    refused(['1022'], '--cmd', 'a' * 5000)
    refused(['no such command'], '--cmd', '\x1b[2J')


def test_outputs(folder):
    args = [*RUN, '--number_ios', '100']
    for more in ([], ['--json', '-'], ['--cmd', 'show config']):
        with open('/dev/full', 'wb') as full:
            rc, _, lines = run(*args, *more, stdout=full)
        lines = [x for x in lines if 'standard output' in x or '--json' in x]
        check(rc == 1 and len(lines) == 1 and 'standard output' in lines[0], f'{more}: {rc} {lines}')
        r, w = os.pipe()
        os.close(r)
        rc, _, lines = run(*args, *more, stdout=w)
        os.close(w)
        check(rc == 1 and 'standard output' in ''.join(lines), f'{more}, closed: {rc} {lines}')
    rc, _, lines = run(*args, '--json', '/dev/full')
    check(rc == 1 and len(lines) == 1 and '--json' in lines[0], f'json: {rc} {lines}')
    rc, _, lines = run(*args, '--log', os.path.join(folder, 'no', 'x'))
    check(rc == 1 and 'No such file' in ''.join(lines), f'log: {rc} {lines}')
    # the next file that is opened must not become the standard output
    p = subprocess.run(['sh', '-c', '"$@" >&- 2>&- <&-', 'sh', PROGRAM, *args], timeout=60)
    check(p.returncode == 0, f'all closed: {p.returncode}')


def account(out):
    rows = [x.split() for x in out.splitlines() if x.startswith('r ')]
    return bool(rows) and int(rows[-1][3]) == int(rows[-1][4]) > 0


def test_signals():
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        p = subprocess.Popen([PROGRAM, *RUN, '--time', '60', '--cmd', 'start; show run; wait'],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        p.stdout.readline()  # it runs
        time.sleep(0.2)
        p.send_signal(sig)
        out, err = p.communicate(timeout=60)
        check(p.returncode == 0 and account(out.decode()), f'{sig}: {p.returncode} {out} {err}')


def test_terminal_gone():
    for running in (False, True):
        pid, fd = pty.fork()
        if pid == 0:
            os.execv(PROGRAM, [PROGRAM, *RUN, '--time', '60', '-i'])
        text = b''
        while b'testblk> ' not in text:
            text += os.read(fd, 4096)
        if running:
            os.write(fd, b'start\rshow run\r')
            while b' I/Os, ' not in text:
                text += os.read(fd, 4096)
        os.close(fd)
        wait_for('its end', lambda: os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT))
        rc = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        check(rc in (0, 1), f'terminal gone, {running}: {rc}')


main(globals())
