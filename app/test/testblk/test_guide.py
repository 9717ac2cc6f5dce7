#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Runs what a guide shows and compares: each console block is a session from its first "$ " on.

Blanks and numbers with a point, in hexadecimal or of six digits and more are anything of their
kind; with the remark ".. numbers vary" before the block all numbers are. A line "..." stands for
any lines. Notices of the shell ("plx-testblk: ...") may come later than they are shown.
"""
import os
import pty
import re
import select
import shlex
import subprocess
import sys
import tempfile
import time

sys.path.append(sys.path[0] + '/..')
from plx_test import check, end, run  # noqa: E402

GUIDE, TESTBLK, REPORT = sys.argv[1:4]
PROGRAMS = {'plx-testblk': os.path.abspath(TESTBLK), 'plx-report': os.path.abspath(REPORT)}
PROMPT = 'testblk> '


def blocks(text):
    """Lines of each console block, and whether its numbers vary."""
    lines = text.split('\n')
    for i, line in enumerate(lines):
        if line != '.. code-block:: console':
            continue
        body = []
        for l in lines[i + 1:]:
            if l.strip() and not l.startswith('    '):
                break
            body.append(l[4:].rstrip())
        yield body, '.. numbers vary' in lines[max(i - 2, 0):i]


def parts(body, prompts):
    """Commands with what is shown behind them."""
    found = []
    for line in body:
        prompt = next((p for p in prompts if line.startswith(p)), None)
        if prompt:
            found.append((prompt, line[len(prompt):], []))
        elif found:
            found[-1][2].append(line)
    return found


def pattern(line, vary):
    """A line as a regular expression."""
    kinds = [(' +', ' +'), ('0x[0-9a-f]+', '(?:0x[0-9a-f]+|0)'),
             (r'\b(?:PLX)?[0-9a-f]{16,32}\b', r'\w+'), (r'\d+\.\d+', r'\d[\d.]*')]
    if vary:
        kinds += [(r'\b[0-9a-f]{4,8}\b', '[0-9a-f]+'), (r'\b\d+\b', r'\d+')]
    else:
        kinds.append((r'\b\d{6,}\b', r'\d+'))
    out, at = '', 0
    for m in re.finditer('|'.join(f'({k})' for k, _ in kinds), line):
        out += re.escape(line[at:m.start()]) + kinds[m.lastindex - 1][1]
        at = m.end()
    return out + re.escape(line[at:])


def compare(what, shown, said, vary):
    wanted = [l.strip() for l in shown if l.strip() and not l.startswith('plx-testblk: ')]
    lines = [l.strip() for l in said
             if l.strip() and 'eal: no free hugepages' not in l and not l.startswith('plx-testblk: ')]
    i, skip = 0, False
    for want in wanted:
        if want == '...':
            skip = True
            continue
        p = pattern(want, vary)
        while skip and i < len(lines) and not re.fullmatch(p, lines[i]):
            i += 1
        skip = False
        if i == len(lines) or not re.fullmatch(p, lines[i]):
            check(False, f'{what}\n  shown: {want}\n  said:  {lines[i:i + 1]}\n  all: {lines}')
            return
        i += 1
    check(skip or i == len(lines), f'{what}: not shown: {lines[i:]}')


class Shell:
    """plx-testblk on a terminal."""

    def __init__(self, args, cwd):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.execv(args[0], args)
        self.seen = ''

    def read(self):
        """Everything up to the next prompt, or the end."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            clean = re.sub(r'\x1b(\[[0-9;]*)?[A-Za-z]', '', self.seen).replace('\r', '')
            if clean.endswith('\n' + PROMPT) or clean == PROMPT:
                self.seen = ''
                return clean[:-len(PROMPT)].split('\n')
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.fd, 65536).decode(errors='replace')
                except OSError:
                    return clean.split('\n')
        check(False, f'no prompt within 60 s: {self.seen!r}')
        return []

    def ask(self, command):
        """What it says, without the echo of the command; with notices that came before."""
        os.write(self.fd, (command + '\r').encode())
        said = []
        while not any(l == command for l in said):
            got = self.read()
            if not got:
                break
            said += [l.replace(PROMPT, '').strip() for l in got]
        return [l for l in said if l != command]

    def end(self):
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


def session(args, commands, cwd, vary):
    shell, said = Shell(args, cwd), []
    shell.read()
    for command, shown in commands:
        got = shell.ask(command)
        said += got
        compare(f'{PROMPT}{command}', shown, got, vary)
    for line in (l for _, shown in commands for l in shown if l.startswith('plx-testblk: ')):
        check(any(re.fullmatch(pattern(line, vary), l.strip()) for l in said), f'no notice: {line}')
    check(shell.end() == 0, f'exit code of {args}')


def run_block(body, vary, cwd):
    """Returns what was typed at a shell."""
    typed = []
    for prompt, command, shown in parts(body, ['$ ']):
        args = shlex.split(command)
        args[0] = PROGRAMS[args[0]]
        inner = parts(shown, [PROMPT])
        if inner:
            session(args, [(c, s) for _, c, s in inner], cwd, vary)
            typed += [c for _, c, _ in inner]
            continue
        p = subprocess.run(args, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           text=True, timeout=60)
        compare(f'$ {command}', shown, p.stdout.split('\n'), vary)
        for i, a in enumerate(args):
            if a == '--cmd':
                typed += [c.strip() for c in args[i + 1].split(';')]
    return typed


def check_commands(typed):
    """Each command there is was run."""
    _, out, _ = run(TESTBLK, '--cmd', 'help')
    for line in out.splitlines():
        command = line.strip().split('  ')[0]
        p = ' '.join(r'\S+' if w.startswith('<') else f'(?:{w})' for w in command.split())
        check(any(re.fullmatch(p, t) for t in typed), f'{GUIDE} does not show: {command}')


def main():
    with open(GUIDE, encoding='utf-8') as f:
        text = f.read()
    typed, n = [], 0
    with tempfile.TemporaryDirectory() as cwd:
        for body, vary in blocks(text):
            typed += run_block(body, vary, cwd)
            n += 1
    check(n > 0, f'{GUIDE}: no console blocks')
    options = os.path.join(os.path.dirname(GUIDE), 'testblk_options.inc')
    if os.path.basename(GUIDE) == 'testblk.rst':
        check_commands(typed)
        _, said, _ = run(TESTBLK, '--help-rst')
        with open(options, encoding='utf-8') as f:
            check(f.read() == said, f'{options} is old: plx-testblk --help-rst makes it')
    print(f'{n} blocks of {GUIDE}')
    end()


main()
