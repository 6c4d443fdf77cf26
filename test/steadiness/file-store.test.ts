import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fileStore } from '../../src/steadiness/file-store.ts';

describe('fileStore', () => {
  let directory = '';
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'rx-etcd-store-'));
  });
  afterEach(async () => {
    await rm(directory, { recursive: true });
  });

  it('has nothing where there is no file', async () => {
    expect(await fileStore(join(directory, 'hosts.json')).load()).toBeUndefined();
  });

  it('loads what was saved last, and leaves no other file behind', async () => {
    const store = fileStore(join(directory, 'hosts.json'));
    await store.save('first, and longer');
    await store.save('小王');
    expect(await store.load()).toBe('小王');
    expect(await readdir(directory)).toEqual(['hosts.json']);
  });

  it('replaces the file as a whole: who has opened the old one reads it to its end', async () => {
    const path = join(directory, 'hosts.json');
    await writeFile(path, 'old');
    const { ino } = await stat(path);
    await fileStore(path).save('new');
    expect((await stat(path)).ino).not.toBe(ino);
    expect(await readFile(path, 'utf8')).toBe('new');
  });

  it('fails where it cannot write or read, and leaves what was there', async () => {
    await expect(fileStore(join(directory, 'none', 'hosts.json')).save('a')).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(fileStore(directory).load()).rejects.toMatchObject({ code: 'EISDIR' });
    await expect(fileStore(directory).save('a')).rejects.toThrow();
    expect(await readdir(directory)).toEqual([]);
  });

  it('keeps the mode of the file: one of 0600 became readable to all', async () => {
    const path = join(directory, 'hosts.json');
    await writeFile(path, 'old', { mode: 0o600 });
    await fileStore(path).save('new');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it('two stores that save at once never tear the file, and no save fails: both wrote to one temporary name', async () => {
    const path = join(directory, 'hosts.json');
    const texts = ['a', 'b', 'c'].map((letter) => letter.repeat(300_000));
    const readings: string[] = [];
    await fileStore(path).save(texts[0]!);
    await Promise.all([
      ...texts.map(async (text) => {
        for (let n = 0; n < 10; n++) await fileStore(path).save(text);
      }),
      (async () => {
        for (let n = 0; n < 30; n++) readings.push((await fileStore(path).load())!);
      })(),
    ]);
    expect(readings.filter((text) => !texts.includes(text))).toEqual([]);
    expect(await readdir(directory)).toEqual(['hosts.json']);
  });

  it('refuses an empty path', () => {
    expect(() => fileStore('')).toThrow(expect.objectContaining({ code: 'invalid-argument' }));
  });
});
