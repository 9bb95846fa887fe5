import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CheckpointError } from '../lib/errors.js';
import { messageOf } from '../../reference/lib/errors.js';
import type { Folder } from './folder.js';
import { openFile } from './nodeFile.js';

/**
 * Opens a model folder on disk.
 *
 * @throws CheckpointError if the path does not exist, is not a folder or cannot be read.
 */
export async function openFolder(path: string): Promise<Folder> {
  const files = await listFolder(path);
  return {
    name: path,
    files,
    pathOf: (file) => join(path, file),
    async open(file) {
      return files.includes(file) ? openFile(join(path, file)) : null;
    },
  };
}

async function listFolder(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new CheckpointError(`${path} does not exist`);
    if (code === 'ENOTDIR') throw new CheckpointError(`${path} is not a folder: a model is a folder with config.json`);
    throw new CheckpointError(`${path} cannot be read: ${messageOf(error)}`);
  }
}
