#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A session as somebody has it in a terminal: attach, run, reset under load, detach under load."""
import os
import re
import subprocess
import sys
import tempfile
import time

sys.path.append(sys.path[0] + '/..')
from plx_test import need  # noqa: E402

PROGRAM, DEVICE = os.path.abspath(sys.argv[1]), sys.argv[2]


class Tmux:
    """A terminal of its own server."""

    def __init__(self, folder, *args):
        self.socket = os.path.join(folder, 'tmux')
        self.do('-f', '/dev/null', 'new-session', '-d', '-x', '150', '-y', '50',
                ' '.join(args) + '; echo exit code $?; sleep 60')

    def do(self, *args):
        return subprocess.run(['tmux', '-S', self.socket, *args], capture_output=True, text=True,
                              timeout=30, check=True).stdout

    def screen(self):
        """All of it, with what has left the screen above."""
        return self.do('capture-pane', '-p', '-S', '-500')

    def see(self, pattern, seconds=30):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            text = self.screen()
            if re.search(pattern, text, re.M):
                return text
            time.sleep(0.1)
        sys.exit(f'FAIL no {pattern!r} within {seconds} s on the screen:\n{text}')

    def type(self, text):
        self.do('send-keys', '-l', text)
        self.do('send-keys', 'Enter')


def session(t):
    t.see('^testblk> ?$')
    t.type(f'attach {DEVICE},name=disk')
    t.see('^testblk> ?$')
    t.do('send-keys', '-l', 'show de')
    t.do('send-keys', 'Tab')
    t.see('^testblk> show dev')
    t.type('s')
    name = re.search(r'^(disk\S*) +\S+ +[\d.]+ +\d+ closed', t.see('^disk.* closed'), re.M)[1]
    t.type('set rw randrw')
    t.type('set time 60')
    t.type('start')
    t.type('show run')
    t.see(r'I/Os, 0 of them failed')
    t.type(f'reset {name}')
    t.see(f'plx-testblk: {name} was reset and goes on')
    t.type('show run')
    t.type('detach disk' if '/' in name else f'detach {name}')
    t.type('show devs')
    t.see('no devices')
    t.type('stop')
    text = t.see(f'^{name} +(all|0) .* [0-9.]+%')
    rows = re.findall(f'^{name} +(all|0) +\\d* +(\\d+) +(\\d+) +(\\d+) +(\\d+) +[0-9.]+ ', text, re.M)
    all_of_it = next((r for r in rows if r[0] == 'all'), rows[-1])
    submitted, completed, failed, cancelled = map(int, all_of_it[1:])
    if submitted != completed + failed + cancelled or completed == 0:
        sys.exit(f'FAIL the account: {all_of_it}')
    t.type('quit')
    t.see('exit code [01]$')


need('tmux')
with tempfile.TemporaryDirectory() as d:
    terminal = Tmux(d, PROGRAM, '-l', '0', '--', '-i')
    try:
        session(terminal)
    finally:
        terminal.do('kill-server')
print('ok')
