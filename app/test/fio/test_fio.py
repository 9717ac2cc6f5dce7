#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The I/O engine for fio, run by fio: data is right, jobs share devices, errors come through."""
import json
import os
import subprocess
import sys
import tempfile

sys.path.append(sys.path[0] + '/..')
from plx_test import Exporter, check, main, need  # noqa: E402

ENGINE, EXPORT = sys.argv[1:3]


def fio(jobs, fails=False):
    """Run a job file. Returns fio's report and what it said."""
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, 'job.fio')
        with open(path, 'w') as f:
            f.write(f'[global]\nioengine=external:{os.path.abspath(ENGINE)}\nthread=1\n{jobs}')
        p = subprocess.run(['fio', '--output-format=json', '--output=out.json', path], cwd=d,
                           capture_output=True, text=True, timeout=60)
        check((p.returncode != 0) == fails, f'{jobs}: exit code {p.returncode}: {p.stderr}')
        try:
            with open(os.path.join(d, 'out.json')) as f:
                text = f.read()
            return json.loads(text[text.index('{'):]), text + p.stderr
        except (OSError, ValueError):
            check(fails, f'{jobs}: no report: {p.stderr}')
            return None, p.stdout + p.stderr


VERIFY = 'rw=randwrite\nbs=4k\niodepth=32\nverify=crc32c\nsize=8M\n'


def test_null():
    r, _ = fio('[a]\nfilename=null\\:size=1G\nrw=randread\niodepth=64\niodepth_batch=16\n'
               'runtime=300ms\ntime_based=1\nsize=1G\n')
    check(r['jobs'][0]['read']['total_ios'] > 1000, 'null: I/Os')


def test_verify():
    for dev in r'ram\:size=16M', r'soft-nvme\:size=16M':
        r, _ = fio(f'{VERIFY}[a]\nfilename={dev}\n')
        j = r['jobs'][0]
        check(j['write']['total_ios'] == j['read']['total_ios'] == 2048, f'{dev}: {j["jobname"]}')


def test_verify_bites():
    _, said = fio('[a]\nfilename=ram\\:size=16M\nrw=read\nbs=4k\nverify=crc32c\nsize=1M\n', True)
    check('verify' in said, f'reading what nobody wrote: {said}')


def test_shared():
    """Threads on one device, each with a queue of its own and a part of it; then others after."""
    r, _ = fio(f'{VERIFY}filename=soft-nvme\\:size=32M\n[a]\n[b]\noffset=8M\n'
               '[c]\noffset=16M\nstonewall=1\n')
    check([j['write']['total_ios'] for j in r['jobs']] == [2048] * 3, 'jobs that share')


def test_files():
    """One job with a queue on each of two devices."""
    r, _ = fio(f'{VERIFY}[a]\nfilename=ram\\:size=8M,name=x:ram\\:size=8M,name=y\n')
    check(r['jobs'][0]['write']['total_ios'] == 2048, 'two files of a job')


def test_operations():
    r, _ = fio('[a]\nfilename=soft-nvme\\:size=16M\nrw=randtrim\nbs=64k\nsize=8M\niodepth=8\n'
               '[b]\nstonewall=1\nfilename=soft-nvme\\:size=16M\nrw=write\nbs=128k\nsize=8M\n'
               'iodepth=4\nfsync=4\n')
    check(r['jobs'][0]['trim']['total_ios'] == 128, 'trims')
    check(r['jobs'][1]['sync']['total_ios'] >= 15, f"syncs {r['jobs'][1]['sync']}")


def test_errors():
    r, said = fio('[a]\nfilename=ram\\:size=16M,error_every=100\nrw=read\nbs=4k\nsize=4M\n', True)
    check('Input/output error' in said, f'an error of the device: {said}')
    r, _ = fio('[a]\nfilename=ram\\:size=16M,error_every=100\nrw=read\nbs=4k\nsize=4M\n'
               'continue_on_error=io\n')
    check(r['jobs'][0]['total_err'] == 10, f"errors counted: {r['jobs'][0].get('total_err')}")
    _, said = fio('[a]\nfilename=nosuch\\:size=16M\nrw=read\n', True)
    check('nosuch' in said, f'no such driver: {said}')
    _, said = fio('[a]\nthread=0\nfilename=ram\\:size=16M\nrw=read\n', True)
    check('thread=1' in said, f'processes: {said}')
    _, said = fio('[a]\nfilename=ram\\:size=16M\nrw=read\niodepth=60000\n', True)
    check('iodepth' in said, f'too deep: {said}')


def test_exported(d):
    """NVMe over vfio-user, served by another process; two jobs one after the other."""
    if not EXPORT:
        return
    with Exporter(EXPORT, d, 'ram:size=32M') as e:
        r, _ = fio(f'{VERIFY}filename=vfio-user\\:{e.sock}\n[a]\n[b]\nstonewall=1\nrw=read\n')
        check([j['read']['total_ios'] for j in r['jobs']] == [2048, 2048], 'exported')


need('fio')
main(globals())
