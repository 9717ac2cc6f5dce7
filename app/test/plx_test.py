# SPDX-License-Identifier: BSD-3-Clause
"""What the scripts in the folders beside this one have in common."""
import inspect
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

failures = 0


def check(cond, what):
    """Tell what is wrong, and go on."""
    global failures
    if not cond:
        failures += 1
        print('FAIL', what, flush=True)


def skip(why):
    print('skipped:', why)
    sys.exit(77)


def need(*programs):
    """What there is a Debian package of, which this machine may not have."""
    for p in programs:
        if shutil.which(p) is None:
            skip(f'no {p} (see devtools/packages.txt)')


def run(*args, **how):
    """To its end. Returns exit code, stdout and stderr."""
    p = subprocess.run(args, **{'capture_output': True, 'text': True, 'timeout': 60} | how)
    return p.returncode, p.stdout, p.stderr


def parts(report):
    """Of a report of plx-testblk: all that has an account."""
    return [report['total'], *report['devices'], *[q for d in report['devices'] for q in d['queues']]]


def run_json(*args):
    """plx-testblk to its end. Returns exit code, report, None without, and stderr."""
    rc, out, err = run(*args, '--json', '-')
    try:
        report = json.loads(out) if out else None
    except ValueError:
        sys.exit(f'FAIL {args}: no JSON on stdout: {out!r} {err!r}')
    for s in parts(report) if report else []:
        check(s['submitted'] == s['completed'] + s['failed'] + s['cancelled'], f'{args}: account {s}')
    return rc, report, err


def cpus():
    return sorted(os.sched_getaffinity(0))


def cpu_seconds(pid):
    with open(f'/proc/{pid}/stat') as f:
        fields = f.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def wait_for(what, get, seconds=30):
    """Returns the first value that is true."""
    until = time.monotonic() + seconds
    while not (value := get()):
        if time.monotonic() > until:
            sys.exit(f'FAIL {what}: not within {seconds} s')
        time.sleep(0.02)
    return value


class Exporter:
    """plx-export in another process, which serves one device; without work it sleeps."""

    def __init__(self, program, folder, dev, *eal):
        self.sock = os.path.join(folder, 's')
        self.name = f'vfio-user:{self.sock}'
        # programs under test are on the first CPU
        self.args = [program, *(eal or ('-l', str(cpus()[-1]))), '--', '--idle', 'adaptive', '--dev',
                     f'{dev},name=r', '--export', f'{self.name},dev=r']
        self.start()

    def start(self):
        self.p = subprocess.Popen(self.args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.said = ''
        while 'serving' not in self.said:
            line = self.p.stdout.readline()
            if line == '':
                sys.exit(f'FAIL plx-export ended with {self.p.wait()}: {self.said}')
            self.said += line
        # it must not wait for a full pipe
        self.listener = threading.Thread(target=self.listen, daemon=True)
        self.listener.start()

    def listen(self):
        for line in self.p.stdout:
            self.said += line

    def end(self, sig=signal.SIGTERM):
        """Returns its exit code."""
        self.p.send_signal(sig)
        return self.p.wait(timeout=30)

    def kill(self):
        self.end(signal.SIGKILL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.p.poll() is None and self.end() != 0:
            self.listener.join(5)
            check(False, f'plx-export ended with {self.p.returncode}: {self.said}')


def main(scope, prefix='test_'):
    """Run the functions of a script, those with a parameter in a folder of their own; ends."""
    for name, fn in list(scope.items()):
        if not name.startswith(prefix) or not inspect.isfunction(fn):
            continue
        before, began = failures, time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            fn(*[folder][:len(inspect.signature(fn).parameters)])
        print('ok  ' if failures == before else 'FAIL', name, f'{time.monotonic() - began:.1f} s',
              flush=True)
    end()


def end():
    sys.exit(failures != 0)
