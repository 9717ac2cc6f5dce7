#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""plx-nvme on the software controller, in this process and served by another."""
import json
import struct
import sys
import tempfile

sys.path.append(sys.path[0] + '/..')
import plx_test  # noqa: E402
from plx_test import Exporter, check, end, wait_for  # noqa: E402

NVME, EXPORT = sys.argv[1:3]
SOFT = 'soft-nvme:size=64M'


def run(*args, stdin=None):
    rc, out, err = plx_test.run(NVME, *args, text=False, input=stdin)
    return rc, out, [l for l in err.decode().splitlines()
                     if 'hugepages' not in l and 'no usable namespace' not in l]


def ok(*args, **kw):
    rc, out, err = run(*args, **kw)
    check(rc == 0, f'{args}: exit code {rc}: {err}')
    return out.decode(errors='replace')


def ok_json(*args):
    out = ok(*args, '-o', 'json')
    try:
        return json.loads(out)
    except ValueError:
        check(False, f'{args}: no JSON: {out!r}')
        return {}


def refused(code, words, *args):
    rc, _, err = run(*args)
    check(rc == code and len(err) == 1 and all(w in err[0] for w in words), f'{args}: {rc} {err}')


def test_structures(dev):
    """Text, JSON and raw bytes tell the same."""
    raw = run('id-ctrl', dev, '-o', 'binary')[1]
    check(len(raw) == 4096, 'id-ctrl: raw')
    ctrl = ok_json('id-ctrl', dev)
    check(ctrl['vid'] == struct.unpack_from('<H', raw)[0] and ctrl['mn'] == 'Pollux NVMe'
          and ctrl['mdts'] == raw[77] and ctrl['oncs'] == struct.unpack_from('<H', raw, 520)[0]
          and ctrl['sqes'] == raw[512] and ctrl['nn'] == struct.unpack_from('<I', raw, 516)[0]
          and len(ctrl['psds']) == ctrl['npss'] + 1, f'id-ctrl: {ctrl}')
    lines = ok('id-ctrl', dev, '-o', 'normal').splitlines()
    text = {k.strip(): v.strip() for k, v in (l.split(':', 1) for l in lines if ':' in l)}
    check(text['mdts'] == str(ctrl['mdts']) and int(text['vid'], 16) == ctrl['vid']
          and text['mn'] == ctrl['mn'], f'id-ctrl as text: {text}')
    raw = run('id-ns', dev, '-o', 'binary')[1]
    ns = ok_json('id-ns', dev, '-n', '1')
    check(ns['nsze'] == struct.unpack_from('<Q', raw)[0] == 131072 and ns['lbafs'][0]['ds'] == 9
          and len(ns['nguid']) == 32, f'id-ns: {ns}')
    check(ok_json('list-ns', dev) == {'nsid_list': [{'nsid': 1}]}, 'list-ns')
    smart = ok_json('smart-log', dev)
    check(200 < smart['temperature'] < 400 and smart['avail_spare'] == 100
          and 'temperature_sensor_3' not in smart, f'smart-log: {smart}')
    fw = ok_json('fw-log', dev)
    check(list(fw[dev].values())[0] == 1, f'fw-log: {fw}')
    errors = ok_json('error-log', dev, '-e', '2')
    check(len(errors['errors']) == 2 and 'phase_tag' in errors['errors'][0], f'error-log: {errors}')
    listed = ok_json('list', dev)['Devices']
    check(len(listed) == 1 and listed[0]['PhysicalSize'] == 64 << 20
          and listed[0]['SectorSize'] == 512, f'list: {listed}')
    effects = ok_json('effects-log', dev)
    check(effects.get('IOCS2 (0x2)', 0) & 1, f'effects-log: {effects}')
    check('no namespace' in ok('changed-ns-list-log', dev), 'changed-ns-list-log')
    log = run('get-log', dev, '-i', '2', '-l', '512', '-o', 'binary')[1]
    check(len(log) == 512 and log[3] == 100, 'get-log')


def test_commands(dev):
    check('value:0x' in ok('get-feature', dev, '-f', '7'), 'get-feature')
    check(ok_json('get-feature', dev, '-f', '4', '-s', '1')['feature'] == 4, 'a default')
    ok('set-feature', dev, '-f', '4', '-v', '0x150', '--force')
    check('Success' in ok('format', dev, '--force'), 'format')
    ok('reset', dev)
    out = ok('admin-passthru', dev, '-O', '6', '-l', '4096', '-r', '--cdw10=1')
    check('result:00000000' in out and '"XNXNPLX' in out, f'admin-passthru: {out[:200]}')
    out = ok('io-passthru', dev, '-O', '2', '-l', '512', '-r')
    check('0000: 00 00' in out, f'io-passthru: {out[:200]}')
    data = bytes(range(256)) * 2
    ok('io-passthru', dev, '-O', '1', '-l', '512', '-w', '-i', '-', '--force', stdin=data)


def test_refusals():
    refused(2, ['bogus'], 'bogus')
    refused(2, ['device string'], 'id-ctrl')
    refused(2, ['--color'], 'id-ctrl', SOFT, '--color')
    refused(2, ['--namespace-id', "'one'"], 'id-ns', SOFT, '-n', 'one')
    refused(2, ['output-format', "'xml'"], 'id-ns', SOFT, '-o', 'xml')
    refused(2, ['needs a value'], 'id-ns', SOFT, '-n')
    refused(2, ['--force'], 'format', SOFT)
    refused(2, ['--force'], 'set-feature', SOFT, '-f', '4', '-v', '1')
    refused(2, ['--force'], 'admin-passthru', SOFT, '-O', '0x80')
    refused(2, ['--force'], 'io-passthru', SOFT, '-O', '1')
    refused(2, ['--lbaf'], 'format', SOFT, '-l', '64', '--force')
    refused(2, ['--feature-id'], 'get-feature', SOFT)
    refused(2, ['-n'], 'delete-ns', SOFT, '--force')
    refused(2, ['none.fw'], 'fw-download', SOFT, '-f', '/none.fw', '--force')
    refused(1, ['not an NVMe'], 'id-ctrl', 'ram:size=1M')
    refused(1, ['Invalid Log Page'], 'get-log', SOFT, '-i', '0xc0', '-l', '512')
    refused(1, ['Invalid Field'], 'get-feature', SOFT, '-f', '0x7f')
    refused(1, ['not zoned'], 'zns', 'report-zones', SOFT)
    check(run()[0] == 2 and b'Usage' in run()[1], 'without arguments')
    check('--lbaf' in ok('help', 'format') and 'smart-log' in ok('help'), 'help')


def sanitized(dev):
    """The log, once it is no longer in progress."""
    log = ok_json('sanitize-log', dev)[dev]
    return None if log['sstat']['status'].startswith('(2)') else log


def test_background(dev):
    """Sanitize goes on when the one who began it has left, a self-test is waited for."""
    ok('sanitize', dev, '-a', '3', '-p', '1', '-d', '-P', '0x41424344', '--force')
    log = wait_for('the end of it', lambda: sanitized(dev))
    check(log['sstat'] == {'global_erased': 1, 'no_cmplted_passes': 1, 'status': '(1) completed'}
          and log['sprog'] == 65535 and log['cdw10_info'] == 0x213, f'sanitize-log: {log}')
    raw = run('io-passthru', dev, '-O', '2', '-l', '512', '-r', '-o', 'binary')[1]
    check(raw == b'DCBA' * 128, 'a sanitize leaves data')
    out = ok('device-self-test', dev, '-s', '2', '-n', '1', '--wait')
    check('Extended Device self-test started' in out, 'device-self-test')
    log = ok_json('self-test-log', dev)
    check(log['Current Device Self-Test Operation'] == 0
          and log['List of Valid Reports'][0]['Self test code'] == 2
          and log['List of Valid Reports'][0]['Self test result'] == 0
          and log['List of Valid Reports'][0]['Namespace Identifier'] == 1, f'self-test-log: {log}')
    check('Self Test Code               : 2' in ok('device-self-test', dev, '-s', '0'), 'its state')


def test_firmware(dev):
    image = tempfile.NamedTemporaryFile()
    image.write(b'PLXNVMET7.0     ' + bytes(9000))
    image.flush()
    out = ok('fw-commit', dev, '-f', image.name, '-s', '2', '-a', '1', '--force')
    check('Success committing firmware action:1 slot:2' in out, 'fw-commit')
    fw = ok_json('fw-log', dev)[dev]
    check(fw['Active Firmware Slot (afi)'] == 2 and '7.0' in fw['Firmware Rev Slot 2'], f'fw: {fw}')
    check(ok_json('id-ctrl', dev)['fr'] == '7.0', 'the revision')
    refused(2, ['none.fw'], 'fw-commit', dev, '-f', '/none.fw', '-s', '2', '--force')


def test_namespaces(dev):
    ok('detach-ns', dev, '-n', '1', '--force')
    check(ok_json('list-ns', dev, '--all') == {'nsid_list': [{'nsid': 1}]}, 'list-ns --all')
    ok('delete-ns', dev, '-n', '1', '--force')
    refused(1, ['Capacity'], 'create-ns', dev, '-s', '999999', '--force')
    check('created nsid:1' in ok('create-ns', dev, '-s', '1000', '--force'), 'create-ns')
    ok('attach-ns', dev, '-n', '1')
    check(ok_json('id-ns', dev)['nsze'] == 1000, 'its size')


def test_reservations(dev):
    """Two hosts: what one holds the other can't write, until it preempts."""
    a = dev + ',hostid=00000000-0000-0000-0000-00000000000a'
    b = dev + ',hostid=0000000000000000000000000000000b'
    write = ('io-passthru', '-O', '1', '-l', '512', '-w', '--force')
    refused(2, ['hostid', 'UUID'], 'resv-report', dev + ',hostid=xyz')
    refused(2, ['--force'], 'resv-register', a, '-k', '1')
    refused(2, ['--rtype'], 'resv-acquire', a, '-c', '1', '--force')
    check('success' in ok('resv-register', a, '-k', '0x1111', '--force'), 'resv-register')
    ok('resv-acquire', a, '-c', '0x1111', '-t', '1', '--force')
    report = ok_json('resv-report', a, '--eds')
    check(report['rtype'] == 1 and report['regctl'] == 1
          and report['regctlext'] == [{'cntlid': 1, 'rcsts': 1, 'rkey': 0x1111,
                                       'hostid': '0' * 31 + 'a'}], f'resv-report: {report}')
    refused(1, ['Reservation Conflict'], write[0], b, *write[1:])
    ok('resv-register', b, '-k', '0x2222', '--force')
    ok('resv-acquire', b, '-c', '0x2222', '-p', '0x1111', '-a', '1', '-t', '2', '--force')
    ok(write[0], b, *write[1:])
    check('rtype     : 2' in ok('resv-report', b, '-e'), 'resv-report as text')
    ok('resv-release', b, '-c', '0x2222', '-a', '1', '--force')


def test_served():
    """By vfio-user; what one run wrote another reads."""
    with tempfile.TemporaryDirectory() as tmp, Exporter(EXPORT, tmp, 'ram:size=64M') as e:
        test_structures(e.name)
        test_commands(e.name)
        raw = run('io-passthru', e.name, '-O', '2', '-l', '512', '-r', '-o', 'binary')[1]
        check(raw == bytes(range(256)) * 2, 'what was written is not what is read')
        ok('format', e.name, '-n', '1', '--force')
        raw = run('io-passthru', e.name, '-O', '2', '-l', '512', '-r', '-o', 'binary')[1]
        check(raw == bytes(512), 'a format leaves data')
        test_background(e.name)
        test_firmware(e.name)
        test_reservations(e.name)
        test_namespaces(e.name)


test_refusals()
test_structures(SOFT)
test_commands(SOFT)
test_served()
end()
