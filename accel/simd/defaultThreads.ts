import { builtin } from '../builtin.js';

/** Returns the text of a file, or null if it cannot be read. */
export type ReadText = (path: string) => string | null;

/** The number of threads that can run at once: all cores, or fewer where a container's CPU quota allows fewer. */
export function defaultThreads(): number {
  const { process } = globalThis as { process?: { platform?: string } };
  const fs = builtin('node:fs') as NodeFs | undefined;
  if (process?.platform !== 'linux' || !fs) return countCores();
  return threadsFor(
    countCores(),
    cpuQuota((path) => readText(fs, path)),
  );
}

/** @param quota processors' worth of time, or null for no limit */
export function threadsFor(cores: number, quota: number | null): number {
  return Math.max(1, Math.min(cores, Math.ceil(quota ?? cores)));
}

/**
 * Reads the CPU quota of the process's control group and of every group above it.
 *
 * @param read reads the files of Linux: /proc/self/cgroup, and those of cgroup v2 and v1 below /sys/fs/cgroup
 * @returns the smallest quota, in processors, or null if there is none
 */
export function cpuQuota(read: ReadText): number | null {
  const quotas: number[] = [];
  for (const { version, controllers, group } of controlGroups(read('/proc/self/cgroup') ?? '')) {
    for (const folder of withAncestors(group)) {
      const quota = version === 2 ? quotaV2(read, folder) : quotaV1(read, controllers, folder);
      if (quota !== null) quotas.push(quota);
    }
  }
  return quotas.length > 0 ? Math.min(...quotas) : null;
}

interface ControlGroup {
  version: 1 | 2;
  /** As the folder of cgroup v1 is called: `cpu` or `cpu,cpuacct`. */
  controllers: string;
  /** `/`, or a path such as `/docker/1f2e`. */
  group: string;
}

/** The groups of /proc/self/cgroup that can limit CPU time. Its lines are `0::/group` in v2 and `4:cpu,cpuacct:/group` in v1. */
function controlGroups(text: string): ControlGroup[] {
  const groups: ControlGroup[] = [];
  for (const line of text.split('\n')) {
    const match = /^\d+:([^:]*):(\/.*)$/.exec(line);
    if (!match) continue;
    const [, controllers, group] = match;
    if (controllers === '') groups.push({ version: 2, controllers, group });
    else if (controllers.split(',').includes('cpu')) groups.push({ version: 1, controllers, group });
  }
  return groups;
}

/** `/a/b` gives `/a/b`, `/a` and the root, which is empty. A container may see its own group at the root only. */
function withAncestors(group: string): string[] {
  const folders = [''];
  for (const name of group.split('/')) {
    if (name !== '') folders.push(`${folders[folders.length - 1]}/${name}`);
  }
  return folders;
}

/** cpu.max holds `quota period` in microseconds, or `max period`. */
function quotaV2(read: ReadText, folder: string): number | null {
  const [quota, period] = (read(`/sys/fs/cgroup${folder}/cpu.max`) ?? '').trim().split(' ');
  return ratio(quota, period);
}

/** A quota of -1 is no limit. */
function quotaV1(read: ReadText, controllers: string, folder: string): number | null {
  for (const controller of new Set([controllers, 'cpu'])) {
    const path = `/sys/fs/cgroup/${controller}${folder}`;
    const quota = ratio(read(`${path}/cpu.cfs_quota_us`) ?? '', read(`${path}/cpu.cfs_period_us`) ?? '');
    if (quota !== null) return quota;
  }
  return null;
}

/** The quotient of two positive numbers, or null if either is anything else. */
function ratio(quota: string, period: string): number | null {
  const value = Number(quota) / Number(period);
  return Number.isFinite(value) && value > 0 ? value : null;
}

function countCores(): number {
  const { navigator } = globalThis as { navigator?: { hardwareConcurrency?: number } };
  return navigator?.hardwareConcurrency ?? (builtin('node:os') as NodeOs | undefined)?.availableParallelism() ?? 1;
}

function readText(fs: NodeFs, path: string): string | null {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

interface NodeFs {
  readFileSync: (path: string, encoding: 'utf8') => string;
}

interface NodeOs {
  availableParallelism: () => number;
}
