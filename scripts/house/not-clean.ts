/**
 * Where comments and words are still to be gone through, as the beginning of paths. The list only shrinks: a room that
 * is clean is taken out, and stays clean.
 */
export const notClean: readonly string[] = [
  'src/codecs/',
  'src/discovery/',
  'src/etcd/',
  'src/registration/',
  'src/selection/',
  'src/sorted-tree/',
  'src/steadiness/',
  'src/time/',
  'src/index.ts',
  'src/errors.ts',
  'test/codecs/',
  'test/discovery/',
  'test/etcd/',
  'test/registration/',
  'test/selection/',
  'test/sorted-tree/',
  'test/steadiness/',
  'test/time/',
  'docs/guarantees.md',
];
