import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';

/** The hash of a weights file; null for a sharded checkpoint, which has no single file. */
export async function weightsSha256(path: string): Promise<string | null> {
  if (!path.endsWith('.safetensors')) return null;
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
