#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""plx-report: pages that are whole, the same each time, and right."""
import functools
import html.parser
import json
import os
import re
import sys

sys.path.append(sys.path[0] + '/..')
import plx_test  # noqa: E402
from plx_test import check, main  # noqa: E402

TOOL, TESTBLK = sys.argv[1:3]
VOID = {'meta', 'path', 'br'}


class Page(html.parser.HTMLParser):
    """Tags that close, ids, attributes and the text of table rows."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.attrs, self.tags, self.rows = [], [], [], [], []
        self.feed(text)
        check(not self.open, f'left open: {self.open}')

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attrs += attrs
        self.ids += [v for k, v in attrs if k == 'id']
        if tag == 'tr':
            self.rows.append([])
        if tag in ('td', 'th'):
            self.rows[-1].append('')
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attrs += attrs

    def handle_endtag(self, tag):
        check(self.open and self.open[-1] == tag, f'</{tag}> closes {self.open[-1:]}')
        if self.open:
            self.open.pop()

    def handle_data(self, data):
        if self.open and ('td' in self.open or 'th' in self.open) and self.rows:
            self.rows[-1][-1] += data

    def row(self, name):
        found = [r[1:] for r in self.rows if r and r[0] == name]
        check(len(found) == 1, f'rows named {name}: {found}')
        return found[0] if found else []


def made(name, iops, us):
    """A report with what fio's json has, and latencies of just these microseconds."""
    none = {'total_ios': 0}
    bins = {str(u * 1000): 10 for u in us}
    read = {'total_ios': 10 * len(us), 'iops': iops, 'bw_bytes': iops * 4096,
            'clat_ns': {'N': 10 * len(us), 'mean': 1000 * sum(us) / len(us), 'max': max(us) * 1000,
                        'bins': bins}, 'lat_ns': {}}
    return {'jobs': [{'jobname': name, 'job options': {'rw': '<read>'}, 'read': read,
                      'write': none, 'trim': none}]}


run = functools.partial(plx_test.run, TOOL)


def page(d, *reports, args=()):
    names = []
    for i, r in enumerate(reports):
        names.append(os.path.join(d, f'r{i}.json'))
        with open(names[-1], 'w') as f:
            f.write(r if isinstance(r, str) else json.dumps(r))
    rc, out, err = run(*names, *args)
    check(rc == 0, f'{names}: {err}')
    check(run(*names, *args)[1] == out, 'the same reports give the same page')
    return out, Page(out)


def test_comparison(d):
    text, p = page(d, made('a', 1000, [10, 20, 30, 40]), made('b', 3000, [20, 40, 60, 80]))
    check(p.row('IOPS') == ['1 k', '3 k ×3'], p.row('IOPS'))
    check(p.row('mean') == ['25 µs', '50 µs ×2'], p.row('mean'))
    check(p.row('50 %') == ['20 µs', '40 µs ×2'], p.row('50 %'))
    check(p.row('max') == ['40 µs', '80 µs ×2'], p.row('max'))
    check('&lt;read&gt;' in text and '<read>' not in text, 'options are text')
    check(p.tags.count('figure') == 2, 'without a series: percentiles and distribution')


def test_one_of_ours(d):
    path = os.path.join(d, 'own.json')
    plx_test.run(TESTBLK, '--dev', 'null:size=1G', '--rw', 'randrw', '--time', '0.3',
                 '--log_avg_msec', '50', '--json', path, check=True)
    with open(path) as f:
        report = f.read()
    text, p = page(d, report, report, args=['--label', 'one', '--label', 'two'])
    check(p.tags.count('figure') == 4, f"{p.tags.count('figure')} plots")
    check(p.row('IOPS')[2].endswith('×1') and p.row('IOPS')[3].endswith('×1'), p.row('IOPS'))
    check(p.row('TSC cycles')[1].endswith('×1'), p.row('TSC cycles'))
    check('one read' in text and 'two write' in text, 'labels')
    check('nan' not in text.lower().replace('nanosec', ''), 'no such number')


def test_whole(d):
    """Nothing is fetched; what has a name for readers of screens refers to what is there."""
    text, p = page(d, made('a', 1000, [10, 20]))
    check('script' not in p.tags and 'link' not in p.tags and 'img' not in p.tags, 'foreign parts')
    check(not re.search(r'https?:|url\(|@import', text), 'addresses')
    check(not any(k.startswith('on') or k in ('src', 'href') for k, _ in p.attrs), 'attributes')
    check(len(p.ids) == len(set(p.ids)), f'ids: {p.ids}')
    for k, v in p.attrs:
        if k == 'aria-labelledby':
            check(all(i in p.ids for i in v.split()), f'aria-labelledby {v}')
    check(('lang', 'en') in p.attrs and ('name', 'viewport') in p.attrs, 'language, viewport')
    check('prefers-color-scheme: dark' in text, 'dark')


def test_wrong(d):
    bad = os.path.join(d, 'bad.json')
    for text, words in (('no', 'not JSON'), ('{"a": 1}', 'neither'), ('[]', 'neither'),
                        ('{"jobs": []}', 'no I/O'), ('{"jobs": [{"jobname": 1}]}', 'neither')):
        with open(bad, 'w') as f:
            f.write(text)
        rc, _, err = run(bad)
        check(rc == 1 and words in err and err.count('\n') == 1, f'{text}: {rc} {err}')
    rc, _, err = run(os.path.join(d, 'none.json'))
    check(rc == 1 and 'No such file' in err, f'no file: {err}')
    check(run()[0] == 2, 'no report')


main(globals())
