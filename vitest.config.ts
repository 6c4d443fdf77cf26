import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// As Node imports CommonJS packages, which is what users get.
const deps = { interopDefault: false };

export default defineConfig({
  resolve: {
    alias: [
      { find: /^rx-etcd$/, replacement: fileURLToPath(new URL('src/index.ts', import.meta.url)) },
      {
        find: /^rx-etcd\/interop$/,
        replacement: fileURLToPath(new URL('src/codecs/interop/index.ts', import.meta.url)),
      },
      {
        find: /^rx-etcd\/testing$/,
        replacement: fileURLToPath(new URL('src/testing/index.ts', import.meta.url)),
      },
    ],
  },
  test: {
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      reporter: ['text-summary', 'html', 'json-summary'],
    },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          deps,
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.etcd.test.ts'],
          // Properties with many runs, on a machine that does something else too.
          testTimeout: 30_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        // Each of these files starts real servers: more files at once than a small machine has cores would
        // only make all of them slow.
        test: {
          name: 'etcd',
          deps,
          include: ['test/**/*.etcd.test.ts'],
          pool: 'forks',
          maxWorkers: 2,
          testTimeout: 60_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
