import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { cpuQuota, defaultThreads, threadsFor } from '../../../accel/simd/defaultThreads.js';

/** The quota of a machine with these files. */
function quotaOf(files: Record<string, string>): number | null {
  return cpuQuota((path) => files[path] ?? null);
}

describe('the default number of threads', () => {
  it('is the smaller of cores and quota, rounded up, and at least 1', () => {
    assert.equal(threadsFor(8, null), 8);
    assert.equal(threadsFor(8, 2), 2);
    assert.equal(threadsFor(8, 2.5), 3);
    assert.equal(threadsFor(8, 0.25), 1);
    assert.equal(threadsFor(2, 16), 2);
    assert.equal(threadsFor(0, null), 1);
  });

  it('here is between 1 and the number of cores', () => {
    const threads = defaultThreads();
    assert.ok(Number.isInteger(threads) && threads >= 1 && threads <= availableParallelism(), `${threads}`);
  });
});

describe('the CPU quota', () => {
  it('is none without control groups, or without a limit', () => {
    assert.equal(quotaOf({}), null);
    assert.equal(quotaOf({ '/proc/self/cgroup': '0::/\n' }), null);
    assert.equal(quotaOf({ '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': 'max 100000\n' }), null);
    const v1 = {
      '/proc/self/cgroup': '4:cpu,cpuacct:/\n',
      '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': '-1\n',
      '/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us': '100000\n',
    };
    assert.equal(quotaOf(v1), null);
  });

  it('is none for files that make no sense', () => {
    for (const text of ['', '\n', '100000', '100000 0', '0 100000', 'a b', 'Infinity 1']) {
      assert.equal(quotaOf({ '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': text }), null, text);
    }
    assert.equal(quotaOf({ '/proc/self/cgroup': 'no group', '/sys/fs/cgroup/cpu.max': '1 1' }), null);
  });

  it('of cgroup v2 is read from cpu.max', () => {
    const files = { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': '150000 100000\n' };
    assert.equal(quotaOf(files), 1.5);
  });

  it('of cgroup v1 is read from the folder of its controllers, or from cpu', () => {
    for (const folder of ['cpu,cpuacct', 'cpu']) {
      const files = {
        '/proc/self/cgroup': '9:name=systemd:/\n5:cpuset:/\n4:cpu,cpuacct:/docker/1f2e\n0::/\n',
        [`/sys/fs/cgroup/${folder}/cpu.cfs_quota_us`]: '200000\n',
        [`/sys/fs/cgroup/${folder}/cpu.cfs_period_us`]: '50000\n',
      };
      assert.equal(quotaOf(files), 4);
    }
    const cpusetOnly = { '/proc/self/cgroup': '5:cpuset:/\n', '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '1', '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '1' }; // prettier-ignore
    assert.equal(quotaOf(cpusetOnly), null);
  });

  it('is the smallest of a group and of the groups above it', () => {
    const files: Record<string, string> = {
      '/proc/self/cgroup': '0::/pod/job\n',
      '/sys/fs/cgroup/cpu.max': '800000 100000\n',
      '/sys/fs/cgroup/pod/cpu.max': '300000 100000\n',
      '/sys/fs/cgroup/pod/job/cpu.max': '600000 100000\n',
    };
    assert.equal(quotaOf(files), 3);
    files['/sys/fs/cgroup/pod/job/cpu.max'] = '50000 100000\n';
    assert.equal(quotaOf(files), 0.5);
    files['/sys/fs/cgroup/cpu.max'] = '25000 100000\n';
    assert.equal(quotaOf(files), 0.25);
  });
});
