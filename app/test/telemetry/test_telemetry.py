#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Telemetry of a running program, by its socket and as Prometheus' text."""
import glob
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request

sys.path.append(sys.path[0] + '/..')
from plx_test import check, end, run, wait_for  # noqa: E402

TESTBLK, PROMETHEUS = sys.argv[1:3]
PREFIX = f'plxtel{os.getpid()}'
BASE = '/var/run' if os.geteuid() == 0 else os.environ.get('XDG_RUNTIME_DIR', '/tmp')
DIR = f'{BASE}/dpdk/{PREFIX}'


def connect(path):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.settimeout(10)
    try:
        sock.connect(path)
        sock.recv(1024)
    except OSError:
        sock.close()
        return None
    return sock


def ask(sock, command):
    sock.send(command.encode())
    return json.loads(sock.recv(65536))[command.split(',')[0]]


def test_commands(sock):
    check(ask(sock, '/plx/dev/list') == ['t0'], 'list')
    info = ask(sock, '/plx/dev/info,t0')
    check(info['driver'] == 'ram' and info['nblocks'] == 16384 and info['state'] == 'started',
          f'info: {info}')
    a = ask(sock, '/plx/dev/stats,t0')
    b = wait_for('I/O', lambda: (s := ask(sock, '/plx/dev/stats,t0'))['read_ops'] > a['read_ops']
                 and s['write_ops'] > a['write_ops'] and s)
    check(b['errors'] == 0 and b['completed'] > a['completed'], f'stats: {b}')
    queues = ask(sock, '/plx/dev/queues,t0')
    check(list(queues) == ['0'] and queues['0']['depth'] == 8, f'queues: {queues}')
    check(ask(sock, '/plx/dev/stats,t0,0')['polls'] > 0, 'stats of a queue')
    for bad in ('info,t1', 'info', 'stats,t0,1', 'stats,t0,', 'stats,t0,x', 'queues,' + 'n' * 500,
                'latency,t0,maybe', 'latency,t1,on'):
        check(ask(sock, '/plx/dev/' + bad) is None, f'{bad}: an answer')


def test_reactors(sock):
    names = ask(sock, '/plx/reactor/list')
    check(names and all(n.startswith('lcore') or n == 'resting' for n in names), f'reactors: {names}')
    lcore = next(n for n in names if n.startswith('lcore'))
    a = ask(sock, f'/plx/reactor/stats,{lcore}')
    check(a['idle'] == 'busy' and a['turns'] >= a['busy_turns'], f'reactor: {a}')
    check(ask(sock, '/plx/reactor/stats,none') is None and ask(sock, '/plx/reactor/stats') is None,
          'stats of no reactor')


def test_latency(sock):
    check(ask(sock, '/plx/dev/latency,t0') == {'measured': 'no', 'missed': 0}, 'latency at first')
    ask(sock, '/plx/dev/latency,t0,on')
    lat = wait_for('latencies', lambda: (s := ask(sock, '/plx/dev/latency,t0'))['write']['count'] > 100
                   and s['read']['count'] > 100 and s)
    for kind in ('read', 'write'):
        f = lat[kind]
        check(0 < f['p50_ns'] <= f['p90_ns'] <= f['p99_ns'] <= f['p999_ns'] <= f['p9999_ns']
              <= f['max_ns'] and f['mean_ns'] <= f['max_ns'], f'latency: {f}')
    check(lat['other']['count'] == 0, 'nothing but reads and writes')


def test_prometheus(sock, args):
    rc, once, err = run(PROMETHEUS, *args)
    check(rc == 0, f'prometheus: {err}')
    sample = re.compile(r'[a-z_]+\{([a-z]+="[^"]*",?)+\} [0-9.e+-]+$')
    for line in once.splitlines():
        check(line.startswith('# ') or sample.match(line), f'prometheus: {line!r}')
    for want in (r'pollux_blk_requests_total\{.*device="t0",op="read"\} [1-9]',
                 r'pollux_blk_latency_seconds\{.*kind="write",quantile="0.99"\} [0-9]',
                 r'pollux_reactor_turns_total\{.*reactor="lcore[0-9]+"\} [0-9]',
                 r'pollux_blk_latency_seconds_count\{.*kind="read"\} [1-9]'):
        check(re.search(want, once), f'prometheus: no {want}')
    p = subprocess.Popen([PROMETHEUS, *args, '--listen', '0'], stdout=subprocess.PIPE, text=True)
    url = p.stdout.readline().split()[-1]
    body = urllib.request.urlopen(url, timeout=20).read().decode()
    check('pollux_blk_info{' in body, 'prometheus over HTTP')
    p.terminate()
    p.wait()


def main():
    p = subprocess.Popen([TESTBLK, f'--file-prefix={PREFIX}', '--', '--dev', 'ram:size=8M,name=t0',
                          '--rw', 'randrw', '--qd', '8', '--queues', '1', '--time', '60'],
                         stdout=subprocess.DEVNULL)
    try:
        wait_for('the socket', lambda: glob.glob(f'{DIR}/dpdk_telemetry.v2*') or p.poll())
        if p.poll() is not None:
            sys.exit('FAIL the tester ended')
        sock = wait_for('telemetry', lambda: connect(glob.glob(f'{DIR}/dpdk_telemetry.v2*')[0]))
        wait_for('the device', lambda: '/plx/dev/list' in ask(sock, '/'))
        wait_for('its start', lambda: ask(sock, '/plx/dev/info,t0')['state'] == 'started')
        test_commands(sock)
        test_reactors(sock)
        test_latency(sock)
        test_prometheus(sock, ['--prefix', PREFIX])
        check(ask(sock, '/plx/dev/latency,t0,off')['measured'] == 'no', 'latency off')
        sock.close()
        p.send_signal(signal.SIGINT)
        check(p.wait(20) == 0, 'the tester failed')
        rc, _, err = run(PROMETHEUS, '--prefix', PREFIX + 'x')
        check(rc == 1 and err.count('\n') == 1, 'prometheus without a program')
    finally:
        if p.poll() is None:
            p.kill()
            p.wait()
        shutil.rmtree(DIR, ignore_errors=True)


main()
end()
