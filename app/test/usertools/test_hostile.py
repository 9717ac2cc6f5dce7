#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Files that others wrote, broken in every way: a tool says what is wrong in one line, soon, or does
its work. usage: test_hostile.py PLX_REPORT PLX_PMDINFO PROGRAM"""
import contextlib
import copy
import importlib.machinery
import importlib.util
import io
import json
import os
import random
import sys
import tempfile
import time

REPORT, PMDINFO, PROGRAM = sys.argv[1:4]
ODD = [None, True, -1, 0, 0.0, 1e-300, 1e308, -1e308, 2 ** 70, 10 ** 400, '', 'x', '<b>', [], {}, [[]],
       {'': ''}, [1, 'x'], [None], {'1': 'x'}]
failures = 0


def tool(path):
    loader = importlib.machinery.SourceFileLoader(os.path.basename(path).replace('-', '_'), path)
    spec = importlib.util.spec_from_loader(loader.name, loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def run(module, path):
    """Run it on a file. @return whether it did its work"""
    global failures
    out, err = io.StringIO(), io.StringIO()
    sys.argv = [module.__name__, path]
    begin = time.monotonic()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            said = module.main()
    except SystemExit as e:
        said = e.code
    except BaseException as e:
        said = f'{e!r}\nraised'
    said = said if isinstance(said, str) else err.getvalue().strip()
    if '\n' in said or time.monotonic() - begin > 5:
        failures += 1
        with open(path, 'rb') as f:
            print(f'FAIL {module.__name__}: {said}\n{f.read()[:2000]!r}', flush=True)
    return said == ''


def base():
    """A report with all that is looked at."""
    lat = {'N': 6, 'mean': 1500.0, 'max': 2000, 'bins': {'1000': 3, '2000': 3},
           'percentile': {'50.000000': 1000, '99.000000': 2000}}
    side = {'total_ios': 6, 'iops': 3.0, 'bw_bytes': 12288, 'clat_ns': lat, 'lat_ns': lat}
    over = {'iops': [3, 4, 5], 'latency_us': [1.5, 2.5, 0]}
    job = {'jobname': 'a', 'job options': {'rw': 'read'}, 'read': side, 'write': side,
           'trim': {'total_ios': 0},
           'plx': {'tsc_cycles_per_io': 100, 'submit_ns_per_io': 20,
                   'series': {'seconds': [1, 2, 3], 'read': over, 'write': over}}}
    return {'jobs': [job, copy.deepcopy(job)]}


def places(node, found):
    """Every container and key of a tree."""
    for key in (node if isinstance(node, dict) else range(len(node))):
        found.append((node, key))
        if isinstance(node[key], (dict, list)):
            places(node[key], found)
    return found


def reports(path):
    report, good = tool(REPORT), 0
    for n in range(400):
        random.seed(n)
        tree = base()
        for _ in range(random.randint(0, 3)):
            node, key = random.choice(places(tree, []))
            if isinstance(node, dict) and random.random() < 0.2:
                node[random.choice(['', '-5', 'nan', '1e999', 'bins'])] = node.pop(key)
            else:
                node[key] = copy.deepcopy(random.choice(ODD))
        text = json.dumps(tree)
        if n % 10 == 9:
            text = text.replace('100', random.choice(['NaN', '-Infinity', '1e999', '9' * 5000, '[' * 9999]))
        if n % 10 == 8:
            text = text[:random.randint(0, len(text))]
        with open(path, 'w') as f:
            f.write(text)
        good += run(report, path)
    return good


def programs(path):
    pmdinfo, good = tool(PMDINFO), 0
    pmdinfo.cached_libraries = dict
    with open(PROGRAM, 'rb') as f:
        data = f.read()
    where = [data.find(s) for s in (b'plx_driver_info\0',) if s in data] + [0, 0, 64, len(data) - 2000]
    for n in range(40):
        random.seed(n)
        bad = bytearray(data)
        for _ in range(random.randint(1, 12)):
            at = random.choice(where) + random.randint(0, random.choice([64, 2000]))
            bad[at % len(bad)] = random.choice([0, 1, 0x7f, 0xff, random.randint(0, 255)])
        if n % 8 == 7:
            del bad[random.randint(0, len(bad)):]
        with open(path, 'wb') as f:
            f.write(bad)
        good += run(pmdinfo, path)
    return good


with tempfile.TemporaryDirectory() as d:
    for what in (reports, programs):
        print(what.__name__, what(os.path.join(d, 'file')), 'could be used', flush=True)
sys.exit(failures != 0)
